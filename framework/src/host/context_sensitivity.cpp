#include "host/context_sensitivity.h"

#include <cmath>

#include "host/guard.h"
#include "whence/problem.h"

namespace whence::host {
namespace {

Span steps_of(const ReadTexts& texts) { return {texts.output_rows.front(), texts.output_rows.back() + 1}; }

/// The position in the other target of each step.
std::vector<std::int64_t> positions_in(const ContextTask& task, const Sequence& sequence, const ReadTexts& other) {
  // What the templates have behind the output has no partner.
  if (task.spec.alignment.way == AlignmentWay::right)
    return right_positions(sequence.steps, other.output_rows.back() + 1);
  InputText aligned = task.how;
  aligned.contrast =
      ContrastText{.target = {}, .source = {}, .alignment = task.spec.alignment, .where = task.how.where};
  return aligned_positions(task.model, aligned, sequence, other.target.ids, task.options.find_aligner);
}

std::vector<float> scores_of(const PluginHost& host, const ContextTask& task, const Sequence& sequence) {
  const Choice& choice = task.spec.sensitivity;
  const auto function = host.make_step_function(choice);
  const Progress progress = task.options.listener.phase ? task.options.listener.phase("sensitivity") : Progress();
  if (progress) progress(0, 1);
  const std::string title = plugin_title(PluginKind::step_function, choice.name);
  const Tensor scores = with_place(choice.where, title, [&] {
    // As it is recorded beside an attribution: nothing is explained by it.
    const auto explained = host.make_step_function({"probability", {}, {}});
    const Problem problem(task.model, *explained, {sequence},
                          {.memory_bytes = task.options.memory_bytes, .seed = task.options.seed});
    return problem.scores(*function).select(0, 0).contiguous();
  });
  if (progress) progress(1, 1);
  std::vector<float> list(scores.const_data_ptr<float>(), scores.const_data_ptr<float>() + scores.numel());
  for (std::size_t t = 0; t < list.size(); ++t)
    if (!std::isfinite(list[t]))
      throw PluginError("input '" + task.input.id + "', token '" +
                            sequence.target[static_cast<std::size_t>(sequence.steps.start) + t].text + "'",
                        "score", title + ": the context sensitivity is not a finite number");
  return list;
}

}  // namespace

std::vector<OutputToken> output_sensitivities(const PluginHost& host, const ContextTask& task, const ReadTexts& with,
                                              const ReadTexts& without) {
  const Choice& choice = task.spec.sensitivity;
  const bool compares = is_contrastive(host.catalogue().find(PluginKind::step_function, choice.name, choice.where));
  const ReadTexts &own = compares ? without : with, &other = compares ? with : without;
  Sequence sequence = sequence_of(task.model, task.input.id, own);
  sequence.steps = steps_of(own);
  const std::vector<std::int64_t> positions = positions_in(task, sequence, other);
  const Sequence compared = sequence_of(task.model, task.input.id, other);
  if (compares)
    sequence.contrast = Contrast{.source = compared.source, .target = compared.target, .positions = positions};
  const std::vector<float> scores = scores_of(host, task, sequence);

  std::vector<OutputToken> tokens;
  for (const std::int64_t row : own.output_rows) {
    const auto step = static_cast<std::size_t>(row - sequence.steps.start);
    const Token& token = sequence.target[static_cast<std::size_t>(row)];
    const Token& partner = compared.target[static_cast<std::size_t>(positions[step])];
    OutputToken made{.with = row, .without = positions[step], .text = token.text, .sensitivity = scores[step]};
    if (compares) std::swap(made.with, made.without);
    if (compares && partner.id != token.id) made.text = partner.text + " → " + token.text;
    tokens.push_back(std::move(made));
  }
  return tokens;
}

}  // namespace whence::host
