#include "heatmap.h"
#include "whence/error.h"
#include "whence/plugin.h"
#include "whence/renderer.h"

namespace whence::svg {
namespace {

class SvgRenderer : public Renderer {
 public:
  explicit SvgRenderer(const Params& params) {
    options_.tables.decimals = static_cast<int>(params.get<std::int64_t>("decimals"));
    if (params.has("max_rows")) options_.tables.max_rows = params.get<std::int64_t>("max_rows");
    if (params.get<std::string>("tokens") == "raw") options_.tables.tokens = drawing::TokenForm::raw;
    options_.font_size = params.get<double>("font_size");
    options_.numbers = params.get<bool>("numbers");
    options_.dark = params.get<std::string>("theme") == "dark";
    if (params.has("max_value")) options_.max_value = params.get<double>("max_value");
    if (options_.max_value && *options_.max_value <= 0)
      throw ConfigError("svg: max_value is 0, expected the magnitude at the ends of the colour scale");
  }

  std::string render(const AttributionOutput& output, const Canvas&) const override {
    return draw_heatmaps(output, options_);
  }

 private:
  DrawingOptions options_;
};

void register_plugin(Registrar& registrar) {
  registrar.add_renderer("svg", [](const Params& params) { return std::make_unique<SvgRenderer>(params); });
}

}  // namespace
}  // namespace whence::svg

WHENCE_PLUGIN(whence::svg::register_plugin)
