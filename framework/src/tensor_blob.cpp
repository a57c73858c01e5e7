#include "tensor_blob.h"

#include <ATen/ops/empty.h>
#include <openssl/evp.h>

#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "foreign_name.h"
#include "whence/error.h"

namespace whence {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian");

constexpr char kTensorName[] = "attribution";
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMostDims = 8;
// EVP counts in int, so long texts go through in pieces; a multiple of 3 bytes and of 4 letters.
constexpr std::size_t kPiece = std::size_t{3} << 24;
static_assert(kPiece % 12 == 0 && kPiece / 3 * 4 < std::numeric_limits<int>::max());

struct DtypeName {
  const char* name;
  at::ScalarType type;
};
constexpr DtypeName kDtypes[] = {{"F32", at::kFloat},     {"F16", at::kHalf},
                                 {"BF16", at::kBFloat16}, {"F8_E4M3", at::kFloat8_e4m3fn},
                                 {"F64", at::kDouble},    {"I64", at::kLong}};

std::string base64_encode(std::string_view bytes) {
  std::string text(((bytes.size() + 2) / 3) * 4 + 1, '\0');  // EVP ends every piece with a zero byte
  std::size_t written = 0;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::string_view piece = bytes.substr(at, kPiece);
    written += EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data() + written),
                               reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
  }
  text.resize(written);
  return text;
}

std::string base64_decode(std::string_view text, const std::string& place) {
  if (text.size() % 4 != 0)
    throw InputError(place + ": base64 text of " + std::to_string(text.size()) +
                     " letters, expected a multiple of 4; the file is cut off or damaged");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  // EVP_DecodeBlock reads '=' as zero bits anywhere and forgives blanks at the ends.
  const std::size_t bad = text.substr(0, text.size() - padding)
                              .find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  if (bad != std::string_view::npos)
    throw InputError(place + ": letter " + std::to_string(bad) + " is not base64; the file is damaged");
  std::string bytes(text.size() / 4 * 3, '\0');
  std::size_t written = 0;
  constexpr std::size_t kTextPiece = kPiece / 3 * 4;
  for (std::size_t at = 0; at < text.size(); at += kTextPiece) {
    const std::string_view piece = text.substr(at, kTextPiece);
    const int count =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data() + written),
                        reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
    if (count < 0) throw InputError(place + ": not base64; the file is damaged");
    written += count;
  }
  bytes.resize(written - padding);
  return bytes;
}

Tensor storable(const Tensor& tensor) {
  const bool known =
      std::ranges::any_of(kDtypes, [&](const auto& dtype) { return dtype.type == tensor.scalar_type(); });
  return tensor.detach().to(at::kCPU, known ? tensor.scalar_type() : at::kLong).contiguous();
}

/// The declared type and shape of the blob's only tensor, with its data checked to be exactly the rest of the blob.
struct BlobHeader {
  at::ScalarType type;
  std::vector<std::int64_t> shape;
};

BlobHeader parse_header(std::string_view header, std::size_t data_size, const std::string& place) {
  const auto json = nlohmann::json::parse(header, nullptr, false);
  if (!json.is_object()) throw InputError(place + ": the header of the tensor is no JSON object; the file is damaged");
  const auto found = json.find(kTensorName);
  if (found == json.end() || !found->is_object() || json.size() != 1 + json.count("__metadata__"))
    throw InputError(place + ": expected exactly one tensor, called '" + kTensorName + "'");
  const auto& entry = *found;
  const auto is_list = [&](const char* key) { return entry.contains(key) && entry[key].is_array(); };
  if (!entry.contains("dtype") || !entry["dtype"].is_string() || !is_list("shape") || !is_list("data_offsets"))
    throw InputError(place + ": the tensor's header lacks dtype, shape or data_offsets");

  const auto& name = entry["dtype"].get_ref<const std::string&>();
  const auto dtype = std::ranges::find_if(kDtypes, [&](const auto& known) { return name == known.name; });
  if (dtype == std::end(kDtypes)) {
    std::string known;
    for (const auto& each : kDtypes) known += (known.empty() ? "" : ", ") + std::string(each.name);
    throw InputError(place + ": tensor of unknown type '" + foreign_name(name) + "', expected one of " + known);
  }

  BlobHeader result{dtype->type, {}};
  if (entry["shape"].size() > kMostDims)
    throw InputError(place + ": tensor with " + std::to_string(entry["shape"].size()) + " dims, at most " +
                     std::to_string(kMostDims) + " are expected");
  std::int64_t size = static_cast<std::int64_t>(c10::elementSize(dtype->type));
  bool overflow = false;
  for (const auto& dim : entry["shape"]) {
    if (!dim.is_number_unsigned() || dim.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
      throw InputError(place + ": dim " + dim.dump() + " of the tensor is no count");
    result.shape.push_back(dim.get<std::int64_t>());
    overflow |= __builtin_mul_overflow(size, result.shape.back(), &size);
  }
  const auto& offsets = entry["data_offsets"];
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned() || offsets[0] != 0)
    throw InputError(place + ": data_offsets " + offsets.dump() + ", expected 0 and the size of the tensor");
  if (overflow || static_cast<std::uint64_t>(size) != data_size || offsets[1].get<std::uint64_t>() != data_size)
    throw InputError(place + ": the header declares " + name + " " + entry["shape"].dump() + " at " + offsets.dump() +
                     ", but " + std::to_string(data_size) + " bytes of data follow; the file is cut off or damaged");
  return result;
}

}  // namespace

std::string to_tensor_blob(const Tensor& tensor) {
  const Tensor stored = storable(tensor);
  const auto dtype = std::ranges::find_if(kDtypes, [&](const auto& each) { return each.type == stored.scalar_type(); });
  std::string header =
      nlohmann::json(
          {{kTensorName,
            {{"dtype", dtype->name}, {"shape", stored.sizes().vec()}, {"data_offsets", {0, stored.nbytes()}}}}})
          .dump();
  header.resize((header.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  std::string bytes(kLengthBytes + header.size() + stored.nbytes(), '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, kLengthBytes);
  std::memcpy(bytes.data() + kLengthBytes, header.data(), header.size());
  if (stored.nbytes() > 0)
    std::memcpy(bytes.data() + kLengthBytes + header.size(), stored.const_data_ptr(), stored.nbytes());
  return base64_encode(bytes);
}

Tensor from_tensor_blob(std::string_view text, const std::string& place) {
  const std::string bytes = base64_decode(text, place);
  if (bytes.size() < kLengthBytes)
    throw InputError(place + ": tensor of " + std::to_string(bytes.size()) + " bytes, too short for a header");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > bytes.size() - kLengthBytes)
    throw InputError(place + ": the tensor's header is declared " + std::to_string(length) + " bytes long, but " +
                     std::to_string(bytes.size() - kLengthBytes) + " follow; the file is cut off or damaged");
  const std::string_view rest = std::string_view(bytes).substr(kLengthBytes);
  const std::string_view data = rest.substr(length);
  const BlobHeader header = parse_header(rest.substr(0, length), data.size(), place);
  const Tensor tensor = at::empty(header.shape, at::TensorOptions(header.type));
  if (!data.empty()) std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size());
  return c10::elementSize(header.type) < 4 ? tensor.to(at::kFloat) : tensor;
}

}  // namespace whence
