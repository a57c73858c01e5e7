#include "gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "whence/error.h"

namespace whence {
namespace {

constexpr int kGzipWindow = 15 + 16;  // the largest window, with a gzip header
constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view bytes, std::uint64_t most_bytes, const std::string& place) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);

  std::string text;
  std::string piece(kPiece, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  std::size_t left = bytes.size();
  for (int status = Z_OK; status != Z_STREAM_END;) {
    const auto given = static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
    stream.avail_in = given;
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    left -= given - stream.avail_in;
    const std::size_t made = piece.size() - stream.avail_out;
    if (status == Z_BUF_ERROR || (status == Z_OK && made == 0 && left == 0))
      throw InputError(place + ": the gzip data ends early; the file is cut off");
    if (status != Z_OK && status != Z_STREAM_END)
      throw InputError(place + ": damaged gzip data" + (stream.msg ? std::string(": ") + stream.msg : std::string()));
    if (made > most_bytes - text.size())
      throw InputError(place + ": unpacks to more than " + std::to_string(most_bytes) + " bytes; it is no result file");
    text.append(piece, 0, made);
  }
  if (left > 0) throw InputError(place + ": " + std::to_string(left) + " bytes follow the end of the gzip data");
  return text;
}

}  // namespace whence
