#pragma once

#include <string_view>

namespace whence {

/// Optional power of a method that goes on until the model's answers tell it to stop. `Method::query` returns anything
/// but null for it; such a method cannot be planned without being run.
inline constexpr std::string_view kOpenEnded = "open_ended/1";

}  // namespace whence
