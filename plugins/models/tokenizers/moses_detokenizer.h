#pragma once

#include <string>
#include <string_view>

namespace whence {

/// The text of words with white space between them, as the detokeniser of sacremoses 0.2 writes it. `language` is "de",
/// "en" or "ru".
std::u16string moses_detokenized(std::u16string_view words, std::string_view language);

}  // namespace whence
