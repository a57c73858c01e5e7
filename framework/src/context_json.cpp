#include "whence/context_json.h"

#include "context_format.h"
#include "gzip.h"
#include "json_text.h"

namespace whence {
namespace {

using json = nlohmann::ordered_json;
using namespace context_format;

json optional_json(const std::optional<std::string>& text) { return text ? json(*text) : json(); }

json units_json(const std::optional<ContextText>& context) {
  if (!context) return nullptr;
  json units = json::array();
  for (const ContextUnit& unit : context->units)
    units.push_back({{"name", unit.name}, {"start", unit.tokens.start}, {"end", unit.tokens.end}});
  return units;
}

json selected_json(const ContextSensitiveToken& token) {
  const auto scores = [](const std::optional<CueScores>& cues, std::vector<float> CueScores::* of) {
    return cues ? json((*cues).*of) : json();
  };
  return {{kIndex, token.index},
          {kToken, token.token},
          {kSensitivity, token.sensitivity},
          {kContextualOutput, token.contextual_output},
          {kContrastToken, optional_json(token.contrast_token)},
          {kContextlessOutput, optional_json(token.contextless_output)},
          {kInputScores, scores(token.input_cues, &CueScores::tokens)},
          {kOutputScores, scores(token.output_cues, &CueScores::tokens)},
          {kExtras,
           {{kInputUnitScores, scores(token.input_cues, &CueScores::units)},
            {kOutputUnitScores, scores(token.output_cues, &CueScores::units)}}}};
}

/// Looks for a member of the outermost object and ends where what is read cannot have it.
class TopLevelKey final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit TopLevelKey(std::string_view wanted) : wanted_(wanted) {}
  bool found() const { return found_; }

  bool key(string_t& name) override { return depth_ != 1 || !(found_ = name == wanted_); }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ > 0; }
  bool start_array(std::size_t) override { return ++depth_ > 1; }  // outermost: it is no object
  bool end_array() override { return --depth_ > 0; }
  bool null() override { return depth_ > 0; }
  bool boolean(bool) override { return depth_ > 0; }
  bool number_integer(number_integer_t) override { return depth_ > 0; }
  bool number_unsigned(number_unsigned_t) override { return depth_ > 0; }
  bool number_float(number_float_t, const string_t&) override { return depth_ > 0; }
  bool string(string_t&) override { return depth_ > 0; }
  bool binary(binary_t&) override { return depth_ > 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  std::string_view wanted_;
  int depth_ = 0;
  bool found_ = false;
};

}  // namespace

std::string to_context_json(const ContextAttribution& result, bool with_info) {
  json document;
  const auto context = [&](const char* text_key, const char* tokens_key, const std::optional<ContextText>& text) {
    document[text_key] = text ? json(text->text) : json();
    document[tokens_key] = text ? json(text->tokens) : json();
  };
  context(kInputContext, kInputContextTokens, result.input_context);
  context(kOutputContext, kOutputContextTokens, result.output_context);
  document[kOutputCurrent] = result.output_current;
  document[kOutputCurrentTokens] = result.output_tokens;
  document[kSensitivities] = result.sensitivities;
  json& selected = document[kSelected] = json::array();
  for (const ContextSensitiveToken& token : result.selected) selected.push_back(selected_json(token));
  if (with_info) document[kInfo] = json_of<json>(Value(result.info));
  document[kExtras] = {{kInputCurrent, result.input_current},
                       {kInputUnits, units_json(result.input_context)},
                       {kOutputUnits, units_json(result.output_context)}};
  return json_text(document);
}

bool is_context_json(std::string_view bytes) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
  std::string unpacked;
  if (is_gzip(bytes)) try {
      bytes = unpacked = gunzip(bytes, kMostBytes, "");
    } catch (const InputError&) {
      return false;  // whoever reads it says what is wrong
    }
  TopLevelKey key(kSensitivities);
  nlohmann::json::sax_parse(bytes, &key);
  return key.found();
}

}  // namespace whence
