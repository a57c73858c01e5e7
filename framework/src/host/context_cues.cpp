#include "host/context_cues.h"

#include "host/choice_value.h"
#include "host/context_contrast.h"
#include "host/context_units.h"
#include "host/forced_contrast.h"

namespace whence::host {
namespace {

/// The chain that is asked for; else the default one, not normalised: a score doesn't depend on what stands beside the
/// context, and so it is in the reference toolkit.
std::vector<Choice> aggregation_of(const AttributionSpec& spec, const AttributionOutput& output) {
  if (spec.aggregation) return *spec.aggregation;
  std::vector<Choice> chain = default_aggregation(output);
  for (Choice& stage : chain) set_param(stage, "normalize", Value(false));
  return chain;
}

/// What `written` writes of the ids up to a position, or where that is nothing, of the one there alone.
std::string text_up_to(const ContextTask& task, TokenIds ids) {
  const Tokenizer& tokenizer = task.model.tokenizer().on(Side::target);
  std::string text = written(tokenizer, task.kept, ids);
  text.erase(0, std::min(text.find_first_not_of(" \t\r\n\f\v"), text.size()));
  return text.empty() ? tokenizer.decode({ids.back()}, /*skip_special_tokens=*/false) : text;
}

/// Attributions of the selected tokens in the making.
class CueAttribution {
 public:
  CueAttribution(const PluginHost& host, const ContextTask& task, const ReadTexts& with, const ReadTexts& without,
                 ContextAttribution& result)
      : host_(host),
        task_(task),
        with_(with),
        without_(without),
        with_tokens_(sequence_of(task.model, task.input.id, with)),
        without_tokens_(sequence_of(task.model, task.input.id, without)),
        result_(result) {}

  void run(const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected);

 private:
  /// One token as a text whose last token it is.
  PreparedText prepared(const OutputToken& token, std::optional<std::int64_t> contrast) const;
  /// Attributes some of the selected tokens together.
  void attribute_some(const AttributionSpec& spec, const std::vector<PreparedText>& texts,
                      const std::vector<std::size_t>& places, std::int64_t done, const Progress& progress);
  void extract(const SequenceAttribution& attribution, const Sequence& text, ContextSensitiveToken& token) const;
  CueScores cues(const Tensor& scores, std::size_t expected, const std::vector<std::int64_t>& rows,
                 const ContextText& context) const;

  const PluginHost& host_;
  const ContextTask& task_;
  const ReadTexts &with_, &without_;
  const Sequence with_tokens_, without_tokens_;
  ContextAttribution& result_;
};

PreparedText CueAttribution::prepared(const OutputToken& token, std::optional<std::int64_t> contrast) const {
  PreparedText text{
      .sequence = with_tokens_, .input_text = with_.input_text().text, .generated_text = with_.target.text};
  text.constrained = true;
  text.sequence.target.resize(static_cast<std::size_t>(token.with + 1));
  text.sequence.steps = {token.with, token.with + 1};
  if (!contrast) return text;
  Contrast& other = text.sequence.contrast.emplace();
  other.source = without_tokens_.source;
  other.target.assign(without_tokens_.target.begin(), without_tokens_.target.begin() + token.without);
  other.target.push_back({task_.model.tokenizer().on(Side::target).token(*contrast).value_or(""), *contrast});
  other.positions = {token.without};
  return text;
}

CueScores CueAttribution::cues(const Tensor& scores, std::size_t expected, const std::vector<std::int64_t>& rows,
                               const ContextText& context) const {
  const std::string method = "method '" + task_.spec.attribution.method.name + "'";
  if (!scores.defined())
    throw ConfigError(task_.spec.attribution.method.where,
                      method + " says nothing of the side that the context is on; choose another method");
  if (scores.dim() != 2 || scores.size(0) != static_cast<std::int64_t>(expected) || scores.size(1) != 1)
    throw ConfigError(task_.spec.attribution.method.where,
                      method +
                          ": after aggregation there is not one score for each token of the context; leave out "
                          "aggregators that merge tokens, and add one for each dimension that is left");
  CueScores cues;
  for (const std::int64_t row : rows) cues.tokens.push_back(scores[row][0].item<float>());
  cues.units = unit_scores(context.units, cues.tokens, task_.spec.unit_score);
  return cues;
}

void CueAttribution::extract(const SequenceAttribution& attribution, const Sequence& text,
                             ContextSensitiveToken& token) const {
  if (result_.input_context)
    token.input_cues = with_.source ? cues(attribution.source_attributions, text.source.size(),
                                           with_.input_context_rows, *result_.input_context)
                                    : cues(attribution.target_attributions, text.target.size(),
                                           with_.input_context_rows, *result_.input_context);
  if (result_.output_context)
    token.output_cues =
        cues(attribution.target_attributions, text.target.size(), with_.output_context_rows, *result_.output_context);
}

void CueAttribution::attribute_some(const AttributionSpec& spec, const std::vector<PreparedText>& texts,
                                    const std::vector<std::size_t>& places, std::int64_t done,
                                    const Progress& progress) {
  const ContextOptions& options = task_.options;
  const auto all = std::ssize(result_.selected);
  AttributeOptions how{.batch_size = options.batch_size,
                       .attribute_target = with_.source && result_.output_context,
                       .eos_baseline = options.eos_baseline,
                       .memory_bytes = options.memory_bytes,
                       .seed = options.seed,
                       .progress = {},
                       .warn = options.listener.warn};
  if (progress) how.progress = [&](std::int64_t now, std::int64_t) { progress(done + now, all); };
  const AttributionOutput raw = attribute(task_.model, host_, texts, spec, how);
  const AttributionOutput output = aggregated(host_, raw, aggregation_of(spec, raw), read_other_result);
  for (std::size_t i = 0; i < places.size(); ++i)
    extract(output.sequences[i], texts[i].sequence, result_.selected[places[i]]);
  if (options.show) options.show("context cues", output);
}

void CueAttribution::run(const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected) {
  const AttributionSpec& spec = task_.spec.attribution;
  const PluginInfo* function = contrastive_attributed(host_.catalogue(), spec);
  TokenIds contrasts;
  if (function) contrasts = contextless_next_tokens(task_, without_, tokens, selected);
  const bool always_forced = function && (needs_forced_contrast(spec.attributed_function) ||
                                          check_params(*function, spec.attributed_function).get<bool>(kForceInputs));
  std::vector<PreparedText> texts[2];  // whether contrastive inputs are forced
  std::vector<std::size_t> places[2];
  for (std::size_t i = 0; i < selected.size(); ++i) {
    const OutputToken& token = tokens[static_cast<std::size_t>(selected[i])];
    const TokenIds& ids = with_.target.ids;
    ContextSensitiveToken made{.index = selected[i], .token = token.text, .sensitivity = token.sensitivity};
    made.contextual_output = text_up_to(task_, TokenIds(ids.begin(), ids.begin() + token.with + 1));
    std::optional<std::int64_t> contrast;
    if (function) {
      contrast = contrasts[i];
      TokenIds other(without_.target.ids.begin(), without_.target.ids.begin() + token.without);
      other.push_back(*contrast);
      made.contrast_token = task_.model.tokenizer().on(Side::target).token(*contrast);
      made.contextless_output = text_up_to(task_, other);
    }
    const bool forced = always_forced || contrast == ids[static_cast<std::size_t>(token.with)];
    texts[forced].push_back(prepared(token, contrast));
    places[forced].push_back(result_.selected.size());
    result_.selected.push_back(std::move(made));
  }
  const Progress progress = task_.options.listener.phase ? task_.options.listener.phase("cues") : Progress();
  for (const bool forced : {false, true})
    if (!texts[forced].empty())
      attribute_some(function ? with_forced_contrast(spec, forced) : spec, texts[forced], places[forced],
                     forced ? std::ssize(texts[false]) : 0, progress);
}

}  // namespace

void add_cues(const PluginHost& host, const ContextTask& task, const ReadTexts& with, const ReadTexts& without,
              const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected,
              ContextAttribution& result) {
  CueAttribution(host, task, with, without, result).run(tokens, selected);
}

}  // namespace whence::host
