#include "host/contrast.h"

#include <algorithm>

#include "host/attribution_info.h"
#include "host/encode_input.h"
#include "host/forced_contrast.h"
#include "host/guard.h"
#include "host/model_loading.h"
#include "host/state_alignment.h"
#include "host/token_alignment.h"

namespace whence::host {
namespace {

/// The first contrastive function of an attribution; null: it has none.
const Choice* contrastive_choice(const Catalogue& catalogue, const AttributionSpec& spec) {
  if (contrastive_attributed(catalogue, spec)) return &spec.attributed_function;
  for (const Choice& choice : spec.step_scores)
    if (is_contrastive(catalogue.find(PluginKind::step_function, choice.name, choice.where))) return &choice;
  return nullptr;
}

/// What every attribution asks of a text. Null attributions: none compares.
void check_input_contrast(const InputText& input, const Choice* function, const Choice* unforced) {
  if (!input.contrast) {
    if (!function) return;
    throw ConfigError(function->where, "the step function '" + function->name +
                                           "' compares each text with another, but input '" + input.id +
                                           "' names none; give it contrast_target or contrast_source");
  }
  const ContrastText& contrast = *input.contrast;
  if (!contrast.target && contrast.alignment)
    throw ConfigError(contrast.where,
                      "input '" + input.id + "': contrast_alignment has no effect without a contrast_target; give one");
  if (!function)
    throw ConfigError(contrast.where,
                      "input '" + input.id +
                          "': no step function of the experiment looks at its contrast; choose one that "
                          "does, such as contrast_prob_diff, or leave it out");
  if (unforced && !contrast.target)
    throw ConfigError(unforced->where, "the attributed function '" + unforced->name +
                                           "' looks up other tokens in the text itself, but input '" + input.id +
                                           "' has none, only a contrast_source; set " + kForceInputs +
                                           ": true, or give a contrast_target");
  if (contrast.alignment && contrast.alignment->way == AlignmentWay::states)
    require_model(contrast.alignment->model, contrast.alignment->where);
}

TokenIds ids_of(const std::vector<Token>& tokens) {
  TokenIds ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

TokenIds encode_contrast_target(const Model& model, const InputText& input, const ChatOptions& chat) {
  if (!input.messages.is_null()) {
    InputText other = input;
    other.generated = input.contrast->target;
    return encode_chat(model, other, chat).ids;
  }
  TokenIds ids;
  if (model.info().kind == ModelKind::encoder_decoder) ids = decoder_start(model);
  const TokenIds text = encode(model.tokenizer(), input, *input.contrast->target, Side::target, /*open=*/true);
  ids.insert(ids.end(), text.begin(), text.end());
  return ids;
}

std::vector<std::int64_t> given_positions(const InputText& input, const Span& steps, std::int64_t length) {
  std::vector<std::int64_t> positions = right_positions(steps, length);
  const AlignmentChoice& choice = *input.contrast->alignment;
  for (const AlignedPair& pair : choice.pairs) {
    const std::string place = place_of(input) + ": the pair [" + std::to_string(pair.step) + ", " +
                              std::to_string(pair.contrast) + "] of contrast_alignment ";
    if (pair.step < steps.start || pair.step >= steps.end)
      throw InputError(place + "names position " + std::to_string(pair.step) +
                       " of the text, which is not explained; expected " + std::to_string(steps.start) + " to " +
                       std::to_string(steps.end - 1));
    if (pair.contrast >= length)
      throw InputError(place + "names position " + std::to_string(pair.contrast) +
                       " of the contrastive target; it has " + std::to_string(length) + " tokens, so expected 1 to " +
                       std::to_string(length - 1));
    positions[static_cast<std::size_t>(pair.step - steps.start)] = pair.contrast;
  }
  return positions;
}

}  // namespace

bool is_contrastive(const PluginInfo& step_function) {
  return std::ranges::find(step_function.parameters, kForceInputs, &ParamSpec::name) != step_function.parameters.end();
}

const PluginInfo* contrastive_attributed(const Catalogue& catalogue, const AttributionSpec& spec) {
  if (!flag(catalogue.find(PluginKind::method, spec.method.name, spec.method.where), "uses_attributed_function", true))
    return nullptr;
  const Choice& choice = spec.attributed_function;
  const PluginInfo& function = catalogue.find(PluginKind::step_function, choice.name, choice.where);
  return is_contrastive(function) ? &function : nullptr;
}

void check_contrasts(const Catalogue& catalogue, const Experiment& experiment) {
  const Choice *function = nullptr, *unforced = nullptr;
  for (const AttributionSpec& spec : experiment.attributions) {
    if (!function) function = contrastive_choice(catalogue, spec);
    const PluginInfo* attributed = contrastive_attributed(catalogue, spec);
    if (attributed && !check_params(*attributed, spec.attributed_function).get<bool>(kForceInputs))
      unforced = &spec.attributed_function;
  }
  const ContrastText* first = nullptr;
  for (const InputText& input : experiment.inputs) {
    check_input_contrast(input, function, unforced);
    if (!function) continue;
    if (!first) first = &*input.contrast;
    if (input.contrast->target.has_value() != first->target.has_value() ||
        input.contrast->source.has_value() != first->source.has_value())
      throw ConfigError(
          input.contrast->where,
          "input '" + input.id + "' and input '" + experiment.inputs.front().id +
              "' are compared on different sides; give a contrast_target, a contrast_source or both for all");
  }
}

std::vector<std::int64_t> aligned_positions(const Model& model, const InputText& input, const Sequence& sequence,
                                            const TokenIds& other, const FindAligner& find_aligner) {
  const AlignmentChoice choice = input.contrast->alignment.value_or(AlignmentChoice());
  const std::int64_t length = std::ssize(other);
  const Tokenizer& tokenizer = model.tokenizer().on(Side::target);
  const TokenIds text = ids_of(sequence.target);
  switch (choice.way) {
    case AlignmentWay::pairs:
      return given_positions(input, sequence.steps, length);
    case AlignmentWay::tokens:
      return partner_positions(
          with_place(
              input.where, "input '" + input.id + "'",
              [&] { return align_tokens(alignable_tokens(tokenizer, text), alignable_tokens(tokenizer, other)); }),
          sequence.steps, length);
    case AlignmentWay::states: {
      if (!find_aligner) throw ConfigError(choice.where, "there is no way to read the aligner here");
      const Model& aligner = find_aligner(choice);
      return partner_positions(
          with_place(choice.where, "input '" + input.id + "'",
                     [&] { return align_by_states(aligner, choice.layer, tokenizer, text, other); }),
          sequence.steps, length);
    }
    case AlignmentWay::right:
      break;
  }
  return right_positions(sequence.steps, length);
}

std::vector<std::int64_t> right_positions(const Span& steps, std::int64_t length) {
  std::vector<std::int64_t> positions;
  for (std::int64_t step = steps.start; step < steps.end; ++step) {
    const std::int64_t position = length - (steps.end - step);
    positions.push_back(position > 0 ? position : length - 1);
  }
  return positions;
}

std::vector<std::int64_t> partner_positions(const std::vector<std::int64_t>& partners, const Span& steps,
                                            std::int64_t length) {
  std::vector<std::int64_t> positions;
  std::int64_t behind = 0;
  for (std::int64_t i = 0; i < steps.end; ++i) {
    const std::int64_t partner = partners.at(static_cast<std::size_t>(i));
    const std::int64_t position = partner >= 0 ? partner : behind;
    if (partner >= 0) behind = partner + 1;
    if (i >= steps.start) positions.push_back(std::clamp<std::int64_t>(position, 1, length - 1));
  }
  return positions;
}

Contrast prepare_contrast(const Model& model, const InputText& input, const ChatOptions& chat, const Sequence& sequence,
                          const FindAligner& find_aligner) {
  const ContrastText& given = *input.contrast;
  Contrast contrast;
  if (given.source) {
    if (model.info().kind != ModelKind::encoder_decoder)
      throw InputError(place_of(input) + ": contrast_source has no effect, since model '" + model.info().name +
                       "' has no source; give a contrast_target, which holds the prompt, too");
    contrast.source = tokens_of(model.tokenizer().on(Side::source),
                                encode_source(model, input, *given.source, "the contrastive source"));
  }
  if (!given.target) return contrast;
  TokenIds ids = encode_contrast_target(model, input, chat);
  const std::int64_t last = sequence.target.back().id;
  const auto ends = [&](std::int64_t id) {
    return std::ranges::find(model.info().eos, id) != model.info().eos.end() ||
           model.tokenizer().special_ids().eos == id;
  };
  if (ends(last) && !ids.empty() && ids.back() != last) ids.push_back(last);
  if (ids.size() < 2)
    throw InputError(place_of(input) + ": the contrastive target " + quoted(*given.target) + " makes " +
                     std::to_string(ids.size()) +
                     " token(s); expected at least 2, since a token needs one before it that predicts it");
  check_length(model, input, ids.size(), "the contrastive target", 0);
  contrast.positions = aligned_positions(model, input, sequence, ids, find_aligner);
  contrast.target = tokens_of(model.tokenizer().on(Side::target), ids);
  return contrast;
}

}  // namespace whence::host
