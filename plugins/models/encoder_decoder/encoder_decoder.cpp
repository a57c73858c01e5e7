#include "transformer_loader.h"
#include "whence/plugin.h"

namespace {

void register_plugin(whence::Registrar& registrar) {
  registrar.add_model("encoder_decoder", [](const whence::Params&) {
    return std::make_unique<whence::transformer::TransformerLoader>(whence::ModelKind::encoder_decoder);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
