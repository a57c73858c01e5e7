#include "host/context_reproduce.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

namespace whence::host {
namespace {

bool same_context(const std::optional<ContextText>& stored, const std::optional<ContextText>& made) {
  if (!stored || !made) return stored.has_value() == made.has_value();
  const auto same_unit = [](const ContextUnit& ours, const ContextUnit& theirs) {
    return ours.name == theirs.name && ours.tokens == theirs.tokens;
  };
  return stored->text == made->text && stored->tokens == made->tokens &&
         std::ranges::equal(stored->units, made->units, same_unit);
}

bool same_texts(const ContextAttribution& stored, const ContextAttribution& made) {
  return same_context(stored.input_context, made.input_context) &&
         same_context(stored.output_context, made.output_context) && stored.output_current == made.output_current &&
         stored.output_tokens == made.output_tokens;
}

Tensor numbers(const std::vector<float>& values) { return at::tensor(values); }

std::vector<TensorDeviation> compare_cues(const TensorDeviation& place, const ContextSensitiveToken& stored,
                                          const ContextSensitiveToken& made, const ReproduceOptions& options) {
  const auto named = [&](const std::string& tensor) {
    TensorDeviation deviation = place;
    deviation.tensor = tensor;
    return deviation;
  };
  std::vector<TensorDeviation> result{named("tokens")};
  TensorDeviation& texts = result.front();
  texts.agrees = stored.token == made.token && stored.contextual_output == made.contextual_output &&
                 stored.contrast_token == made.contrast_token && stored.contextless_output == made.contextless_output;
  if (!texts.agrees) texts.problem = "other outputs with or without context";
  const auto add = [&](const std::string& name, const std::optional<CueScores>& ours,
                       const std::optional<CueScores>& theirs) {
    if (!ours && !theirs) return;
    const auto of = [&](const std::optional<CueScores>& cues, std::vector<float> CueScores::* part) {
      return cues ? numbers((*cues).*part) : Tensor();
    };
    result.push_back(compare_tensor(named(name + "_context_scores"), of(ours, &CueScores::tokens),
                                    of(theirs, &CueScores::tokens), options));
    if ((ours && !ours->units.empty()) || (theirs && !theirs->units.empty()))
      result.push_back(compare_tensor(named(name + "_unit_scores"), of(ours, &CueScores::units),
                                      of(theirs, &CueScores::units), options));
  };
  add("input", stored.input_cues, made.input_cues);
  add("output", stored.output_cues, made.output_cues);
  return result;
}

}  // namespace

std::vector<TensorDeviation> compare_contexts(const std::string& id, const ContextAttribution& stored,
                                              const ContextAttribution& made, const ReproduceOptions& options) {
  TensorDeviation tokens{id, "output", "tokens", 0, 0, same_texts(stored, made), ""};
  if (!tokens.agrees) tokens.problem = "other texts or tokens";
  std::vector<TensorDeviation> result{tokens};
  result.push_back(compare_tensor({id, "output", "sensitivities", 0, 0, true, ""}, numbers(stored.sensitivities),
                                  numbers(made.sensitivities), options));
  const auto at = [](const std::vector<ContextSensitiveToken>& selected, std::int64_t index) {
    return std::ranges::find(selected, index, &ContextSensitiveToken::index);
  };
  for (const ContextSensitiveToken& token : stored.selected) {
    TensorDeviation place{id, std::to_string(token.index), "tokens", 0, 0, true, ""};
    if (const auto again = at(made.selected, token.index); again != made.selected.end()) {
      for (TensorDeviation& deviation : compare_cues(place, token, *again, options))
        result.push_back(std::move(deviation));
    } else {
      place.agrees = false;
      place.problem = "stored as context-sensitive, but not made again";
      result.push_back(place);
    }
  }
  for (const ContextSensitiveToken& token : made.selected)
    if (at(stored.selected, token.index) == stored.selected.end())
      result.push_back(
          {id, std::to_string(token.index), "tokens", 0, 0, false, "made as context-sensitive, but not stored"});
  return result;
}

}  // namespace whence::host
