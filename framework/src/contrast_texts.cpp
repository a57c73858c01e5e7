#include "contrast_texts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "padded_ids.h"
#include "whence/error.h"

namespace whence {
namespace {

constexpr std::int64_t kNoStep = -1;

void check_positions(const Sequence& sequence, const std::string& place) {
  const Contrast& contrast = *sequence.contrast;
  const std::int64_t length = std::ssize(contrast.target);
  const std::int64_t steps = length == 0 ? 0 : sequence.steps.size();
  if (std::ssize(contrast.positions) != steps)
    throw InputError(place + "the contrast has " + std::to_string(contrast.positions.size()) + " positions, expected " +
                     std::to_string(steps) + "; give one for each step when there is a contrastive target, else none");
  for (const std::int64_t position : contrast.positions)
    if (position < 1 || position >= length)
      throw InputError(place + "contrastive position " + std::to_string(position) + " is outside a text of " +
                       std::to_string(length) + " tokens; expected 1 <= position < length, since a token needs a " +
                       "prefix that predicts it");
}

}  // namespace

void check_contrast(const Sequence& sequence, const Sequence& first, const ModelInfo& model) {
  const std::string place = "sequence '" + sequence.id + "': ";
  if (!sequence.contrast)
    throw InputError(place + "a step function compares with another text, but there is none; give a contrast");
  const Contrast& contrast = *sequence.contrast;
  if (contrast.source.empty() && contrast.target.empty())
    throw InputError(place + "the contrast has neither a source nor a target; give one of them");
  if (!contrast.source.empty() && model.kind == ModelKind::decoder_only)
    throw InputError(place + "the contrast has a source; a decoder-only model takes prompt and continuation as one " +
                     "text, so give another target");
  check_positions(sequence, place);
  // Else what a text is compared with would depend on those it shares a batch with.
  if (first.contrast && (contrast.source.empty() != first.contrast->source.empty() ||
                         contrast.target.empty() != first.contrast->target.empty()))
    throw InputError(place + "the contrast gives other sides than that of sequence '" + first.id +
                     "'; give a source, a target or both for all");
  const std::int64_t last =
      contrast.positions.empty() ? 0 : *std::max_element(contrast.positions.begin(), contrast.positions.end());
  const std::int64_t longest = std::max(last, std::ssize(contrast.source));
  if (model.max_positions > 0 && longest > model.max_positions)
    throw InputError(place + "the contrast of " + std::to_string(longest) + " tokens is longer than the model's " +
                     "context of " + std::to_string(model.max_positions) + "; shorten it");
}

ContrastTexts::ContrastTexts(const ModelInfo& model, const std::vector<Sequence>& sequences, const Tensor& step_ids,
                             const Tensor& positions)
    : ids_(step_ids.clone()), positions_(at::full(step_ids.sizes(), kNoStep, at::kLong)) {
  auto id = ids_.accessor<std::int64_t, 2>();
  auto position = positions_.accessor<std::int64_t, 2>();
  const auto own = positions.accessor<std::int64_t, 2>();
  std::vector<TokenIds> sources, targets;
  for (std::int64_t b = 0; b < std::ssize(sequences); ++b) {
    const Sequence& sequence = sequences[static_cast<std::size_t>(b)];
    check_contrast(sequence, sequences.front(), model);
    TokenIds source, target;
    for (const Token& token : sequence.contrast->source) source.push_back(token.id);
    std::int64_t last = 0;
    for (std::int64_t t = 0; t < positions.size(1); ++t) {
      if (own[b][t] == kNoStep || sequence.contrast->positions.empty()) continue;
      const std::int64_t step = own[b][t] + 1 - sequence.steps.start;
      const std::int64_t at = sequence.contrast->positions[static_cast<std::size_t>(step)];
      id[b][t] = sequence.contrast->target[static_cast<std::size_t>(at)].id;
      position[b][t] = at - 1;
      last = std::max(last, at);
    }
    // The last contrastive token is predicted, but predicts nothing.
    for (std::int64_t l = 0; l < last; ++l) target.push_back(sequence.contrast->target[static_cast<std::size_t>(l)].id);
    sources.push_back(std::move(source));
    targets.push_back(std::move(target));
  }
  if (!sources.front().empty()) sides_[static_cast<int>(Side::source)] = padded_ids(sources);
  if (!targets.front().empty()) sides_[static_cast<int>(Side::target)] = padded_ids(targets);
}

std::vector<PassPlan::Rows> ContrastTexts::rows(const std::vector<PassPlan::Rows>& own) const {
  std::vector<PassPlan::Rows> rows = own;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const auto given = [&](Side side) {
      return sides_[static_cast<int>(side)].lengths[static_cast<std::int64_t>(b)].item<std::int64_t>();
    };
    if (gives(Side::source)) rows[b].source = given(Side::source);
    if (gives(Side::target)) rows[b].target = given(Side::target);
  }
  return rows;
}

Inputs ContrastTexts::inputs_of(const Tensor& sequences, const Inputs& own) const {
  Inputs inputs;
  const auto fill = [&](Side side, const PaddedIds& own_ids, const Tensor& own_embeddings,
                        const LayerStates& own_states, PaddedIds& ids, Tensor& embeddings, LayerStates& states) {
    if (!gives(side)) {
      ids = own_ids;
      embeddings = own_embeddings;
      if (own_states.defined() && shares({side, own_states.block})) states = own_states;
      return;
    }
    const PaddedIds& given = sides_[static_cast<int>(side)];
    const Tensor lengths = given.lengths.index_select(0, sequences);
    ids = {given.ids.index_select(0, sequences).narrow(1, 0, lengths.max().item<std::int64_t>()), lengths};
  };
  fill(Side::target, own.target, own.target_embeddings, own.target_states, inputs.target, inputs.target_embeddings,
       inputs.target_states);
  fill(Side::source, own.source, own.source_embeddings, own.source_states, inputs.source, inputs.source_embeddings,
       inputs.source_states);
  return inputs;
}

Tensor ContrastTexts::positions_of(const Tensor& sequences, std::int64_t first_step, const Tensor& own) const {
  if (!gives(Side::target)) return own;
  const Tensor given = positions_.index_select(0, sequences).narrow(1, first_step, own.size(1));
  return at::where(own != kNoStep, given, kNoStep);
}

}  // namespace whence
