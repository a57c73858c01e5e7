#include "page_json.h"

#include <openssl/evp.h>

#include "palette.h"
#include "text.h"

namespace whence::html {
namespace {

using nlohmann::json;

std::string encoded_bytes(const void* bytes, std::size_t size) {
  std::string text(encoded_size(static_cast<std::int64_t>(size)) + 1, '\0');  // with the zero that is written behind it
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), static_cast<const unsigned char*>(bytes),
                  static_cast<int>(size));
  text.pop_back();
  return text;
}

json palette(const drawing::Palette& colors) {
  json points = json::array();
  for (const drawing::Rgb& color : colors) points.push_back({color.red, color.green, color.blue});
  return points;
}

}  // namespace

std::int64_t encoded_size(std::int64_t bytes) { return (bytes + 2) / 3 * 4; }

std::string encoded(const Tensor& values, at::ScalarType type) {
  const Tensor numbers = values.detach().to(at::kCPU, type).contiguous();
  return encoded_bytes(numbers.const_data_ptr(), numbers.nbytes());
}

std::string encoded(const std::vector<float>& values) {
  return encoded_bytes(values.data(), values.size() * sizeof(float));
}

json palettes() { return {{"light", palette(drawing::kLightPalette)}, {"dark", palette(drawing::kDarkPalette)}}; }

std::string script_text(const json& data) {
  constexpr bool kAscii = true;
  // "</script>" and "<!--" would end the element or change how it is read.
  return drawing::replace_all(data.dump(-1, ' ', kAscii), "<", "\\u003c");
}

}  // namespace whence::html
