#include "context_data.h"

#include "context_words.h"
#include "page_json.h"
#include "text.h"
#include "whence/error.h"

namespace whence::html {
namespace {

using drawing::printable;
using drawing::printable_lines;
using nlohmann::json;

class ContextData {
 public:
  ContextData(const ContextAttribution& result, const PageOptions& options)
      : result_(result),
        options_(options),
        rule_(drawing::cue_rule(result)),
        vocabulary_(drawing::vocabulary_of(result)) {}

  json make() {
    json contexts = json::array(), selected = json::array();
    if (result_.input_context) contexts.push_back(context("input context", *result_.input_context));
    if (result_.output_context) contexts.push_back(context("output context", *result_.output_context));
    for (const ContextSensitiveToken& token : result_.selected) selected.push_back(chosen(token));
    return {{"palettes", palettes()},
            {"scale", options_.max_value ? json(*options_.max_value) : json()},
            {"sensitivity", drawing::sensitivity_name(result_)},
            {"output", output()},
            {"contexts", std::move(contexts)},
            {"selected", std::move(selected)}};
  }

 private:
  std::string label(const std::string& entry) const {
    return drawing::token_label({entry, 0}, vocabulary_, options_.tokens, " ");
  }

  /// {tokens, breaks}: what the tokens write, and behind which of them a new line begins.
  json texts(const std::vector<std::string>& entries) const {
    json tokens = json::array(), breaks = json::array();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      tokens.push_back(label(entries[i]));
      if (entry_text(entries[i], vocabulary_).find('\n') != std::string::npos) breaks.push_back(i);
    }
    return {{"tokens", std::move(tokens)}, {"breaks", std::move(breaks)}};
  }

  json context(const std::string& name, const ContextText& context) const {
    json data = texts(context.tokens), units = json::array();
    for (const ContextUnit& unit : context.units)
      units.push_back({{"name", printable(unit.name)}, {"start", unit.tokens.start}, {"end", unit.tokens.end}});
    data["name"] = name;
    data["units"] = std::move(units);
    return data;
  }

  json output() {
    std::vector<std::string> written;  // with context
    json contrasts = json::object();
    for (std::size_t i = 0; i < result_.output_tokens.size(); ++i) {
      const std::string& entry = result_.output_tokens[i];
      const std::size_t arrow = entry.find(drawing::kContrast);
      written.push_back(entry.substr(0, arrow));
      if (arrow != std::string::npos)
        contrasts[std::to_string(i)] = label(entry.substr(arrow + drawing::kContrast.size()));
    }
    json data = texts(written);
    data["contrasts"] = std::move(contrasts);
    data["scores"] = stored(result_.sensitivities);
    return data;
  }

  json chosen(const ContextSensitiveToken& token) {
    const drawing::StrongCues strong = drawing::strong_cues(token, rule_);
    json cues = json::array();
    if (result_.input_context) cues.push_back(cues_of(token.input_cues, strong.input));
    if (result_.output_context) cues.push_back(cues_of(token.output_cues, strong.output));
    return {{"index", token.index},
            {"sensitivity", token.sensitivity},
            {"contrast", token.contrast_token ? json(label(*token.contrast_token)) : json()},
            {"contextless", token.contextless_output ? json(printable_lines(*token.contextless_output)) : json()},
            {"cues", std::move(cues)}};
  }

  json cues_of(const std::optional<CueScores>& cues, const std::vector<std::int64_t>& strong) {
    if (!cues) return nullptr;
    return {{"scores", stored(cues->tokens)}, {"strong", strong}, {"units", cues->units}};
  }

  std::string stored(const std::vector<float>& scores) {
    bytes_ += encoded_size(std::ssize(scores) * static_cast<std::int64_t>(sizeof(float)));
    if (bytes_ > options_.max_bytes)
      throw ConfigError("html: the scores take " + std::to_string(bytes_ / 1'000'000 + 1) +
                        " MB or more, expected at most " + std::to_string(options_.max_bytes / 1'000'000) +
                        " (max_megabytes); select fewer tokens, or raise it");
    return encoded(scores);
  }

  const ContextAttribution& result_;
  const PageOptions& options_;
  const StrongScores rule_;
  const Vocabulary vocabulary_;
  std::int64_t bytes_ = 0;  ///< of scores so far
};

}  // namespace

std::string context_data(const ContextAttribution& result, const PageOptions& options) {
  return script_text(ContextData(result, options).make());
}

}  // namespace whence::html
