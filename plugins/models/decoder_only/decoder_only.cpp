#include "checkpoint.h"
#include "transformer_model.h"
#include "whence/error.h"
#include "whence/plugin.h"

namespace whence {
namespace {

class DecoderOnlyLoader : public ModelLoader {
 public:
  bool recognises(const ModelRequest& request) const override {
    const auto architecture = transformer::find_architecture(request);
    return architecture && architecture->kind == ModelKind::decoder_only;
  }

  std::unique_ptr<Model> load(const ModelRequest& request) const override {
    const transformer::Checkpoint checkpoint(request);
    if (checkpoint.architecture().kind != ModelKind::decoder_only)
      throw ModelError(request.path + ": architecture " + checkpoint.architecture().name +
                       " is an encoder-decoder; expected a decoder-only model");
    return std::make_unique<transformer::TransformerModel>(checkpoint, request);
  }
};

void register_plugin(Registrar& registrar) {
  registrar.add_model("decoder_only", [](const Params&) { return std::make_unique<DecoderOnlyLoader>(); });
}

}  // namespace
}  // namespace whence

WHENCE_PLUGIN(whence::register_plugin)
