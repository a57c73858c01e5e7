// What a Problem asks of models that take their blocks apart.
#include "problem_state.h"
#include "whence/error.h"

namespace whence {

const BlockDecomposition& ProblemState::decomposition(const std::string& method) const {
  const void* power = model.query(BlockDecomposition::kCapability);
  if (power) return *static_cast<const BlockDecomposition*>(power);
  throw ModelError("method '" + method + "': the model " + model.info().name + " (" + model.info().architecture +
                   ") cannot show its blocks in parts; use 'attention', or a model that can");
}

void ProblemState::decompose(const std::string& method, bool weights_only, const BlockDecomposition::Visitor& visit) {
  require_single_steps("the parts of method '" + method + "'");
  const BlockDecomposition& blocks = decomposition(method);
  drop_prefix();
  const PassKind kind{.parts = !weights_only, .attentions = true};
  plan().require({plan().demand(whole(), kind, held())});
  Meter meter(*this, batch());
  // The model goes through one text at a time.
  for (const Unit& text : whole()) {
    blocks.decompose(inputs_of({text}), {positions_of({text}, 0, steps()), weights_only}, [&](const BlockParts& parts) {
      BlockParts shown = parts;
      shown.sequence = text.sequence;
      visit(shown);
    });
    meter.add(1);
  }
}

StreamDirections ProblemState::directions(const std::string& method) {
  require_single_steps("the directions of method '" + method + "'");
  const BlockDecomposition& blocks = decomposition(method);
  drop_prefix();
  // What moves is what lies behind parts of this pass, so that contrastive texts stay as they are.
  scoring_.prepare_fixed_contrast();
  const PassKind kind{.steps = steps(), .parts = true, .attentions = true};
  plan().require({plan().demand(whole(), kind, held())});
  const std::vector<Unit> texts = whole();
  return blocks.directions(inputs_of(texts), positions, [&](const Tensor& logits) {
    Tensor cotangents = logits.clone();
    remember(texts, logits, scoring_.scores_to_cotangents(cotangents, {texts, inputs, 0, positions}, nullptr));
    return cotangents;
  });
}

}  // namespace whence
