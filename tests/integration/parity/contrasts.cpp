#include "contrasts.h"

#include "choices.h"

namespace whence::parity {

void add_contrasts(const Case& one, const Model& model, std::vector<host::PreparedText>& texts) {
  const json& keywords = one.at("attributed_fn_args");
  const json sources = keywords.value("contrast_sources", json()), targets = keywords.value("contrast_targets", json());
  if (sources.is_null() && targets.is_null()) return;
  host::InputText other = input_texts(one).at(0);
  if (!sources.is_null()) other.text = sources;
  if (!targets.is_null()) {
    other.generated = targets;
    if (model.info().kind == ModelKind::decoder_only) other.text = targets;
  }
  other.start = 1;
  const Sequence prepared = host::prepare_sequences(model, {other}, {}).at(0).sequence;
  Sequence& sequence = texts.at(0).sequence;
  Contrast& contrast = sequence.contrast.emplace();
  if (!sources.is_null()) contrast.source = prepared.source;
  if (targets.is_null()) return;
  contrast.target = prepared.target;
  const std::int64_t length = std::ssize(contrast.target);
  for (std::int64_t position = sequence.steps.start; position < sequence.steps.end; ++position) {
    const std::int64_t aligned = length - (sequence.steps.end - position);
    contrast.positions.push_back(aligned > 0 ? aligned : length - 1);
  }
}

}  // namespace whence::parity
