#pragma once

#include <string>
#include <string_view>

#include "whence/context_attribution.h"
#include "whence/export.h"
#include "whence/renderer.h"

namespace whence {

/// Optional power of a renderer: it draws context attributions, too. `Renderer::query` returns a pointer to this.
class WHENCE_API ContextRenderer {
 public:
  static constexpr std::string_view kCapability = "context_renderer/1";

  virtual ~ContextRenderer();
  /// As Renderer::render. [grad: off] [thread: any]
  virtual std::string render(const ContextAttribution& result, const Canvas& canvas) const = 0;
};

}  // namespace whence
