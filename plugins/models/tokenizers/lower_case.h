#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// A text in lower case.
struct LoweredText {
  std::string text;
  std::vector<std::size_t> places;  ///< [text.size() + 1] where each byte comes from, in bytes of the original
};

/// Every character on its own, as the slow tokenizers of transformers do; the longest of `kept` at every place stays as
/// it is. `text` is valid UTF-8.
LoweredText lower_case(std::string_view text, const std::vector<std::string>& kept);

}  // namespace whence
