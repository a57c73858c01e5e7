#include "heatmap.h"
#include "whence/error.h"
#include "whence/plugin.h"

namespace whence::terminal {
namespace {

class TerminalRenderer : public Renderer {
 public:
  explicit TerminalRenderer(const Params& params) {
    options_.tables.decimals = static_cast<int>(params.get<std::int64_t>("decimals"));
    if (params.has("max_rows")) options_.tables.max_rows = params.get<std::int64_t>("max_rows");
    if (params.get<std::string>("tokens") == "raw") options_.tables.tokens = drawing::TokenForm::raw;
    options_.shades = params.get<bool>("shades");
    if (params.has("max_value")) options_.max_value = params.get<double>("max_value");
    if (options_.max_value && *options_.max_value <= 0)
      throw ConfigError("terminal: max_value is 0, expected the magnitude at the ends of the colour scale");
  }

  std::string render(const AttributionOutput& output, const Canvas& canvas) const override {
    return draw_heatmaps(output, canvas, options_);
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
