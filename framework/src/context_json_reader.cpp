#include "context_format.h"
#include "json_node.h"
#include "whence/context_json.h"

namespace whence {
namespace {

using namespace context_format;
using Node = JsonNode;

std::vector<float> read_scores(const Node& node) {
  std::vector<float> scores;
  for (const Node& entry : node.list()) scores.push_back(static_cast<float>(entry.number()));
  return scores;
}

std::vector<std::string> read_texts(const Node& node) {
  std::vector<std::string> texts;
  for (const Node& entry : node.list()) texts.push_back(entry.text());
  return texts;
}

std::optional<std::string> read_text(const std::optional<Node>& node) {
  return node ? std::optional(node->text()) : std::nullopt;
}

[[noreturn]] void fail_count(const Node& node, std::size_t found, const std::string& what, std::size_t expected) {
  node.fail(std::to_string(found) + " " + what + ", expected " + std::to_string(expected));
}

std::vector<ContextUnit> read_units(const Node& node, std::size_t tokens) {
  std::vector<ContextUnit> units;
  std::int64_t behind = 0;
  for (const Node& entry : node.list()) {
    const Span span{entry.at("start").integer(), entry.at("end").integer()};
    if (span.start < behind || span.end < span.start || span.end > static_cast<std::int64_t>(tokens))
      entry.fail("unit from " + std::to_string(span.start) + " to " + std::to_string(span.end) + " of " +
                 std::to_string(tokens) + " tokens; units are ascending and disjoint");
    behind = span.end;
    units.push_back({entry.at("name").text(), span});
  }
  return units;
}

std::optional<ContextText> read_context(const Node& root, const char* text_key, const char* tokens_key,
                                        const char* units_key) {
  const auto text = root.find(text_key);
  if (!text) return {};
  ContextText context{.text = text->text(), .tokens = read_texts(root.at(tokens_key)), .units = {}};
  const auto extras = root.find(kExtras);
  if (const auto units = extras ? extras->find(units_key) : std::nullopt)
    context.units = read_units(*units, context.tokens.size());
  return context;
}

/// Token scores of a context. Of a result that it also showed the reference saved more: it appends those of the other
/// context to each list while it draws, first to the input's, then all of these to the output's. What it appended is
/// dropped, if it is that.
std::vector<float> read_cue_scores(const Node& node, std::size_t tokens, const std::vector<float>* appended) {
  std::vector<float> scores = read_scores(node);
  if (scores.size() == tokens) return scores;
  const bool drawn =
      appended && scores.size() == tokens + appended->size() &&
      std::equal(appended->begin(), appended->end(), scores.begin() + static_cast<std::ptrdiff_t>(tokens));
  if (!drawn) fail_count(node, scores.size(), "scores", tokens);
  scores.resize(tokens);
  return scores;
}

/// Cues of one selected token.
void read_cues(const Node& node, const ContextAttribution& result, ContextSensitiveToken& token) {
  const auto input = node.find(kInputScores), output = node.find(kOutputScores);
  const auto require_context = [](const std::optional<Node>& scores, const std::optional<ContextText>& context) {
    if (scores && !context) scores->fail("scores of a context that the result does not have");
  };
  require_context(input, result.input_context);
  require_context(output, result.output_context);
  std::vector<float> saved_input, own_output;
  if (input) saved_input = read_scores(*input);
  if (output) {
    const std::size_t tokens = result.output_context->tokens.size();
    token.output_cues = {read_cue_scores(*output, tokens, input ? &saved_input : nullptr), {}};
    own_output = token.output_cues->tokens;
  }
  if (input)
    token.input_cues = {read_cue_scores(*input, result.input_context->tokens.size(), output ? &own_output : nullptr),
                        {}};
  const auto extras = node.find(kExtras);
  const auto read_unit_scores = [&](const char* key, const std::optional<ContextText>& context,
                                    std::optional<CueScores>& cues) {
    const std::size_t units = context ? context->units.size() : 0;
    const auto scores = extras ? extras->find(key) : std::nullopt;
    if (scores && !cues) scores->fail("scores of units without those of tokens");
    if (scores) cues->units = read_scores(*scores);
    if (cues && cues->units.size() != units)
      fail_count(scores.value_or(node), cues->units.size(), "scores of units", units);
  };
  read_unit_scores(kInputUnitScores, result.input_context, token.input_cues);
  read_unit_scores(kOutputUnitScores, result.output_context, token.output_cues);
}

ContextSensitiveToken read_selected(const Node& node, const ContextAttribution& result) {
  ContextSensitiveToken token;
  const Node index = node.at(kIndex);
  token.index = index.integer();
  if (token.index < 0 || token.index >= std::ssize(result.output_tokens))
    index.fail("token " + std::to_string(token.index) + " of an output of " +
               std::to_string(result.output_tokens.size()));
  token.token = node.at(kToken).text();
  token.sensitivity = static_cast<float>(node.at(kSensitivity).number());
  token.contextual_output = node.at(kContextualOutput).text();
  token.contrast_token = read_text(node.find(kContrastToken));
  token.contextless_output = read_text(node.find(kContextlessOutput));
  read_cues(node, result, token);
  return token;
}

/// The current input. Files of the reference have it only among the options.
std::string read_input_current(const Node& root) {
  if (const auto extras = root.find(kExtras)) return extras->at(kInputCurrent).text();
  const auto info = root.find(kInfo);
  const auto text = info ? info->find(kInputCurrentText) : std::nullopt;
  return text ? text->text() : std::string();
}

}  // namespace

ContextAttribution from_context_json(std::string_view bytes, const std::string& place) {
  const JsonDocument document = read_json(bytes, place);
  const Node root(document);
  ContextAttribution result;
  result.input_context = read_context(root, kInputContext, kInputContextTokens, kInputUnits);
  result.output_context = read_context(root, kOutputContext, kOutputContextTokens, kOutputUnits);
  result.input_current = read_input_current(root);
  result.output_current = root.at(kOutputCurrent).text();
  result.output_tokens = read_texts(root.at(kOutputCurrentTokens));
  const Node sensitivities = root.at(kSensitivities);
  result.sensitivities = read_scores(sensitivities);
  if (result.sensitivities.size() != result.output_tokens.size())
    fail_count(sensitivities, result.sensitivities.size(), "scores", result.output_tokens.size());
  for (const Node& selected : root.at(kSelected).list()) result.selected.push_back(read_selected(selected, result));
  if (const auto info = root.find(kInfo)) result.info = info->map();
  return result;
}

}  // namespace whence
