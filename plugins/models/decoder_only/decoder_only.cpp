#include "transformer_loader.h"
#include "whence/plugin.h"

namespace {

void register_plugin(whence::Registrar& registrar) {
  registrar.add_model("decoder_only", [](const whence::Params&) {
    return std::make_unique<whence::transformer::TransformerLoader>(whence::ModelKind::decoder_only);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
