#include "context.h"
#include "options.h"
#include "whence/context_renderer.h"
#include "whence/plugin.h"

namespace whence::terminal {
namespace {

class TerminalRenderer final : public Renderer, public ContextRenderer {
 public:
  explicit TerminalRenderer(const Params& params) {
    options_.tables = drawing::table_options(params);
    options_.shades = params.get<bool>("shades");
    options_.max_value = drawing::max_value(params, "terminal");
  }

  std::string render(const AttributionOutput& output, const Canvas& canvas) const override {
    return draw_heatmaps(output, canvas, options_);
  }
  std::string render(const ContextAttribution& result, const Canvas& canvas) const override {
    return draw_context(result, canvas, options_);
  }
  const void* query(std::string_view capability) const override {
    return capability == kCapability ? static_cast<const ContextRenderer*>(this) : nullptr;
  }

 private:
  HeatmapOptions options_;
};

void register_plugin(Registrar& registrar) {
  registrar.add_renderer("terminal", [](const Params& params) { return std::make_unique<TerminalRenderer>(params); });
}

}  // namespace
}  // namespace whence::terminal

WHENCE_PLUGIN(whence::terminal::register_plugin)
