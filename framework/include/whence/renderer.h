#pragma once

#include <string>
#include <string_view>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

enum class ColorDepth { none, ansi256, truecolor };

/// Where a rendering will be looked at.
struct Canvas {
  int columns = 80;  ///< width in terminal cells
  ColorDepth colors = ColorDepth::none;
};

/// Turns a finished, token-level output into bytes: a terminal page, a file. Immutable after construction.
class WHENCE_API Renderer {
 public:
  Renderer() = default;
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;
  virtual ~Renderer();

  /// The bytes of the page or file; tensors of `output` have one number per token and step. Throws ConfigError when the
  /// output has no such form, or a parameter doesn't fit it. [shape: see AttributionOutput] [grad: off] [thread: any]
  virtual std::string render(const AttributionOutput& output, const Canvas& canvas) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
