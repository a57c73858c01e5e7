#pragma once

#include <string_view>

namespace whence {

/// Optional power of a renderer: it draws scores per layer, head or state itself, so the default aggregation leaves
/// these dims to it; hidden units are reduced all the same. `Renderer::query` of one that has it returns anything but
/// null.
inline constexpr std::string_view kDrawsGranularity = "draws_granularity/1";

}  // namespace whence
