#include "heatmap.h"
#include "options.h"
#include "whence/plugin.h"
#include "whence/renderer.h"

namespace whence::svg {
namespace {

class SvgRenderer : public Renderer {
 public:
  explicit SvgRenderer(const Params& params) {
    options_.tables = drawing::table_options(params);
    options_.font_size = params.get<double>("font_size");
    options_.numbers = params.get<bool>("numbers");
    options_.dark = params.get<std::string>("theme") == "dark";
    options_.max_value = drawing::max_value(params, "svg");
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
