#include "transformer_loader.h"

#include "checkpoint.h"
#include "checkpoint_examination.h"
#include "transformer_model.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

const char* text_of(ModelKind kind) {
  return kind == ModelKind::decoder_only ? "a decoder-only model" : "an encoder-decoder";
}

}  // namespace

bool TransformerLoader::recognises(const ModelRequest& request) const {
  const auto architecture = find_architecture(request);
  return architecture && architecture->kind == kind_;
}

std::unique_ptr<Model> TransformerLoader::load(const ModelRequest& request) const {
  const Checkpoint checkpoint(request);
  if (const Architecture& architecture = checkpoint.architecture(); architecture.kind != kind_)
    throw ModelError(request.path + ": architecture " + architecture.name + " is " + text_of(architecture.kind) +
                     "; expected " + text_of(kind_));
  return std::make_unique<TransformerModel>(checkpoint, request);
}

CheckpointReport TransformerLoader::examine(const ModelRequest& request) const { return examine_checkpoint(request); }

const void* TransformerLoader::query(std::string_view capability) const {
  return capability == CheckpointExaminer::kCapability ? static_cast<const CheckpointExaminer*>(this) : nullptr;
}

}  // namespace whence::transformer
