#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// The languages of multilingual checkpoints, in the order of their token ids: "mbart", "mbart50", "nllb", and for
/// language_codes of M2M-100 "m2m100" and "wmt21". Empty for other names.
std::vector<std::string> language_codes(std::string_view family);

}  // namespace whence
