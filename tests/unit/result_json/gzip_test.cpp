#include "gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string bytes(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

std::string error_of(const std::string& bytes, std::uint64_t most_bytes) {
  return testing::text_of_error<InputError>([&] { gunzip(bytes, most_bytes, "r.json.gz"); });
}

TEST(Gzip, UnpacksWhatWasPacked) {
  for (const std::string& text : {std::string(), std::string("abc"), std::string(5 << 20, 'x')}) {
    const std::string bytes = gzip(text);
    EXPECT_TRUE(is_gzip(bytes));
    EXPECT_EQ(gunzip(bytes, text.size(), "r"), text);
  }
  EXPECT_FALSE(is_gzip("{}"));
  EXPECT_FALSE(is_gzip(""));
}

TEST(Gzip, RefusesToGrowBeyondTheBound) {
  EXPECT_EQ(error_of(gzip(std::string(64 << 20, '\0')), 1 << 20),
            "r.json.gz: unpacks to more than 1048576 bytes; it is no result file");
}

TEST(Gzip, NamesDamage) {
  const std::string bytes = gzip("some text that is long enough to be cut in the middle of it");
  for (std::size_t size = 2; size < bytes.size(); ++size)
    EXPECT_EQ(error_of(bytes.substr(0, size), 1000), "r.json.gz: the gzip data ends early; the file is cut off")
        << size;
  std::string flipped = bytes;
  flipped[bytes.size() - 6] ^= 1;
  EXPECT_EQ(error_of(flipped, 1000), "r.json.gz: damaged gzip data: incorrect data check");
  EXPECT_EQ(error_of(bytes + "xy", 1000), "r.json.gz: 2 bytes follow the end of the gzip data");
}

}  // namespace
}  // namespace whence
