#include "context_words.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "info.h"
#include "text.h"

namespace whence::drawing {
namespace {

constexpr std::int64_t kLongContext = 400;  // tokens
constexpr std::int64_t kNear = 12;          // tokens before and behind a cue
constexpr std::size_t kLongText = 1200;     // bytes
constexpr std::string_view kEllipsis = " … ";

StrongScores rule_of(const ContextAttribution& result, const std::string& of_what) {
  StrongScores rule;
  if (const Value* weight = find_info(result.info, of_what + "_std_threshold"); weight && weight->is_number())
    rule.std_weight = weight->as_double();
  if (const Value* top = find_info(result.info, of_what + "_topk"); top && top->is_int()) rule.top_k = top->as_int();
  return rule;
}

std::vector<Token> as_tokens(const std::vector<std::string>& entries) {
  std::vector<Token> tokens;
  for (const std::string& entry : entries) tokens.push_back({entry, 0});
  return tokens;
}

std::string short_number(double value) {
  std::string text = number_text(value, 3);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// At most so many bytes of whole characters.
std::string_view beginning(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  const auto continues = [&] { return (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80; };
  while (bytes > 0 && continues()) --bytes;
  return text.substr(0, bytes);
}

/// A text begins where its first letter stands.
void drop_leading_blank(std::vector<Piece>& pieces) {
  if (!pieces.empty() && pieces.front().text.starts_with(' ')) pieces.front().text.erase(0, 1);
}

/// Without blanks at its ends.
std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

std::string heading(const ContextAttribution& result) {
  std::string line = info_text(result.info, "attribution_method");
  if (line.empty()) return line;
  if (const std::string function = info_text(result.info, "attributed_fn"); !function.empty())
    line += " of " + function;
  std::string model = info_text(result.info, "model_name_or_path");
  if (model.ends_with('/')) model.pop_back();
  if (!model.empty()) line += ", " + std::filesystem::path(model).filename().string();
  return line;
}

std::string sensitivity_name(const ContextAttribution& result) {
  const std::string name = info_text(result.info, "context_sensitivity_metric");
  return name.empty() ? "context sensitivity" : name;
}

StrongScores sensitivity_rule(const ContextAttribution& result) { return rule_of(result, "context_sensitivity"); }
StrongScores cue_rule(const ContextAttribution& result) { return rule_of(result, "attribution"); }

std::string rule_text(const StrongScores& rule) {
  std::string text = "mean";
  if (rule.std_weight != 0)
    text += (rule.std_weight < 0 ? " - " : " + ") + short_number(std::abs(rule.std_weight)) + " std";
  if (rule.top_k) text += ", top " + std::to_string(*rule.top_k);
  return text;
}

std::string selection_text(const ContextAttribution& result, int decimals) {
  const StrongScores rule = sensitivity_rule(result);
  const std::string count = result.selected.empty()
                                ? std::string(kNothingSelected)
                                : std::to_string(result.selected.size()) + " of " +
                                      std::to_string(result.output_tokens.size()) + " tokens depend on context";
  return count + ": |" + sensitivity_name(result) + "| ≥ " +
         number_text(rule.threshold(result.sensitivities), decimals) + " (" + rule_text(rule) + ")";
}

StrongCues strong_cues(const ContextSensitiveToken& token, const StrongScores& rule) {
  const std::vector<float> none, &input = token.input_cues ? token.input_cues->tokens : none,
                                 &output = token.output_cues ? token.output_cues->tokens : none;
  const auto both = [](std::vector<float> own, const std::vector<float>& other) {
    own.insert(own.end(), other.begin(), other.end());
    return own;
  };
  const std::vector<float> all = both(input, output);
  return {rule.threshold(all), rule.of(input, all), rule.of(output, both(output, input))};
}

double largest_magnitude(const ContextSensitiveToken& token) {
  double largest = 0;
  for (const auto* cues : {&token.input_cues, &token.output_cues})
    if (*cues)
      for (const float score : (*cues)->tokens)
        if (std::isfinite(score)) largest = std::max<double>(largest, std::abs(score));
  return largest;
}

std::vector<RankedUnit> ranked_units(const ContextText& context, const CueScores& cues) {
  std::vector<RankedUnit> units;
  for (std::size_t i = 0; i < std::min(context.units.size(), cues.units.size()); ++i)
    if (cues.units[i] != 0)
      units.push_back({printable(trimmed(context.units[i].name)), static_cast<std::int64_t>(i), cues.units[i]});
  std::ranges::stable_sort(units, std::greater<>(), [](const RankedUnit& unit) { return std::abs(unit.score); });
  return units;
}

Vocabulary vocabulary_of(const ContextAttribution& result) {
  std::vector<Token> contexts;
  for (const auto* context : {&result.input_context, &result.output_context})
    if (*context)
      for (const std::string& entry : (*context)->tokens) contexts.push_back({entry, 0});
  return whence::vocabulary_of(as_tokens(result.output_tokens), contexts);
}

ContextWords::ContextWords(const ContextAttribution& result, const WordOptions& options)
    : result_(result), options_(options), vocabulary_(vocabulary_of(result)) {}

std::string ContextWords::token(const std::string& entry) const {
  return token_label({entry, 0}, vocabulary_, options_.tokens);
}

void ContextWords::add(std::vector<Piece>& pieces, const std::string& entry, double score, bool strong) const {
  // What the model wrote with context.
  const std::string own = entry.substr(0, entry.find(kContrast));
  Piece piece{token_label({own, 0}, vocabulary_, options_.tokens, " "), score, strong};
  piece.ends_line = entry_text(own, vocabulary_).ends_with('\n');
  if (strong) {
    const std::string_view text = trimmed(piece.text);
    if (text.size() < piece.text.size() && piece.text.starts_with(' ')) pieces.push_back({" "});
    std::string shown = text.empty() ? "·" : std::string(text);
    if (options_.brackets) shown = "[" + shown + "]";
    if (options_.numbers) shown += "(" + number_text(score, options_.decimals) + ")";
    piece.text = std::move(shown);
  }
  pieces.push_back(std::move(piece));
}

std::vector<Piece> ContextWords::pieces(const std::vector<std::string>& entries, const std::vector<float>& scores,
                                        const std::vector<std::int64_t>& strong) const {
  const std::int64_t count = std::ssize(entries);
  std::vector<char> marked(entries.size(), false), shown(entries.size(), count <= kLongContext);
  for (const std::int64_t at : strong) {
    marked[static_cast<std::size_t>(at)] = true;
    for (std::int64_t i = std::max<std::int64_t>(0, at - kNear); i <= std::min(count - 1, at + kNear); ++i)
      shown[static_cast<std::size_t>(i)] = true;
  }
  std::vector<Piece> list;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (shown[i])
      add(list, entries[i], scores.at(i), marked[i]);
    else if (i == 0 || shown[i - 1])
      list.push_back({std::string(kEllipsis)});
  }
  drop_leading_blank(list);
  return list;
}

std::vector<Piece> ContextWords::context(const ContextText& context, const CueScores& cues,
                                         const std::vector<std::int64_t>& strong) const {
  return pieces(context.tokens, cues.tokens, strong);
}

std::vector<Piece> ContextWords::output(const ContextSensitiveToken& token) const {
  return pieces(result_.output_tokens, result_.sensitivities, {token.index});
}

std::vector<Piece> text_pieces(std::string_view text) {
  std::vector<Piece> list;
  std::string_view rest = beginning(text, kLongText);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    Piece line{printable(rest.substr(0, end))};
    rest.remove_prefix(std::min(end + 1, rest.size()));
    line.ends_line = !rest.empty();
    list.push_back(std::move(line));
  }
  if (text.size() > kLongText) list.push_back({" … (" + std::to_string(text.size()) + " bytes)"});
  drop_leading_blank(list);
  return list;
}

}  // namespace whence::drawing
