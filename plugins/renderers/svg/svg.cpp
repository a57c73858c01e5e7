#include "context.h"
#include "options.h"
#include "whence/context_renderer.h"
#include "whence/plugin.h"
#include "whence/renderer.h"

namespace whence::svg {
namespace {

class SvgRenderer final : public Renderer, public ContextRenderer {
 public:
  explicit SvgRenderer(const Params& params) {
    options_.tables = drawing::table_options(params);
    options_.font_size = params.get<double>("font_size");
    options_.numbers = params.get<bool>("numbers");
    options_.dark = params.get<std::string>("theme") == "dark";
    columns_ = static_cast<int>(params.get<std::int64_t>("columns"));
    options_.max_value = drawing::max_value(params, "svg");
  }

  std::string render(const AttributionOutput& output, const Canvas&) const override {
    return draw_heatmaps(output, options_);
  }
  std::string render(const ContextAttribution& result, const Canvas&) const override {
    return draw_context(result, options_, columns_);
  }
  const void* query(std::string_view capability) const override {
    return capability == kCapability ? static_cast<const ContextRenderer*>(this) : nullptr;
  }

 private:
  DrawingOptions options_;
  int columns_ = 0;
};

void register_plugin(Registrar& registrar) {
  registrar.add_renderer("svg", [](const Params& params) { return std::make_unique<SvgRenderer>(params); });
}

}  // namespace
}  // namespace whence::svg

WHENCE_PLUGIN(whence::svg::register_plugin)
