#include "whence/context_json.h"
#include "whence/context_renderer.h"
#include "whence/plugin.h"
#include "whence/renderer.h"
#include "whence/result_json.h"

namespace whence {
namespace {

ScoresPrecision precision_from(const std::string& name) {
  if (name == "float16") return ScoresPrecision::float16;
  return name == "float8" ? ScoresPrecision::float8 : ScoresPrecision::float32;
}

class JsonRenderer final : public Renderer, public ContextRenderer {
 public:
  explicit JsonRenderer(const Params& params) : precision_(precision_from(params.get<std::string>("precision"))) {}

  std::string render(const AttributionOutput& output, const Canvas&) const override {
    return to_result_json(output, precision_);
  }
  std::string render(const ContextAttribution& result, const Canvas&) const override {
    if (precision_ != ScoresPrecision::float32)
      throw ConfigError(
          "json: precision is another than float32, but numbers of context attributions are stored in full; leave it "
          "out");
    return to_context_json(result);
  }
  const void* query(std::string_view capability) const override {
    return capability == kCapability ? static_cast<const ContextRenderer*>(this) : nullptr;
  }

 private:
  ScoresPrecision precision_;
};

void register_plugin(Registrar& registrar) {
  registrar.add_renderer("json", [](const Params& params) { return std::make_unique<JsonRenderer>(params); });
}

}  // namespace
}  // namespace whence

WHENCE_PLUGIN(whence::register_plugin)
