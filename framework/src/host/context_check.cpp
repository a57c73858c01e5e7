#include <cmath>

#include "host/attribution_info.h"
#include "host/context.h"
#include "host/context_template.h"
#include "host/encode_input.h"
#include "host/model_loading.h"

namespace whence::host {
namespace {

[[noreturn]] void fail(const ContextInput& input, const std::string& text) {
  throw ConfigError(input.where, "input '" + input.id + "': " + text);
}

void check_texts(const ContextInput& input) {
  if (input.input_current.empty())
    fail(input, "the current input (input_current_text) is empty; expected the prompt, or what is to be translated");
  if (input.output_current && input.output_current->empty())
    fail(input, "the current output (output_current_text) is empty; leave it out to have it generated");
  if (input.input_context && !input.documents.empty())
    fail(input, "both an input context and documents are given; documents make the input context, so keep one");
  for (std::size_t i = 0; i < input.documents.size(); ++i)
    if (input.documents[i].text.empty())
      fail(input, "document " + std::to_string(i + 1) + " of the input context is empty; leave it out");
}

void check_input_context(const ContextInput& input, const ParsedTemplate& input_template, const Notice& warn) {
  const bool given = input.input_context ? !input.input_context->empty() : !input.documents.empty();
  if (input_template.has_context() && !given)
    throw ConfigError(input_template.given().where,
                      "the input template '" + input_template.given().text +
                          "' has {context}, but no input context (input_context_text) is given; give one that is not "
                          "empty, or leave {context} out");
  if (!input_template.has_context() && given && warn)
    warn("the input context is left out, since the input template '" + input_template.given().text +
         "' has no {context}");
}

void check_output_context(const ContextInput& input, const ContextSpec& spec, const ParsedTemplate& output_template,
                          bool can_ask, const Notice& warn) {
  if (!output_template.has_context()) {
    if (input.output_context && warn)
      warn("the output context is left out, since the output template '" + output_template.given().text +
           "' has no {context}");
    return;
  }
  if (input.output_context) return;
  const std::string missing = "the output template '" + output_template.given().text +
                              "' has {context}, but no output context (output_context_text) is given";
  if (spec.output_context == OutputContextStrategy::given)
    throw ConfigError(output_template.given().where,
                      missing +
                          ", and the strategy 'pre' takes none but a given one; give it, "
                          "or leave {context} out");
  if (spec.output_context == OutputContextStrategy::manual && !can_ask)
    throw ConfigError(output_template.given().where, missing +
                                                         ", and nobody can be asked for it here; give it, or "
                                                         "choose the strategy 'auto'");
}

void check_contextless_tokens(const Catalogue& catalogue, const ContextInput& input, const ContextSpec& spec,
                              bool can_ask) {
  const bool given = !input.contextless_next_tokens.empty();
  if (!given && !spec.ask_for_contextless_next_tokens) return;
  if (given && spec.ask_for_contextless_next_tokens)
    fail(input,
         "contextless next tokens are given (contextless_output_next_tokens), and are to be asked for, too "
         "(prompt_user_for_contextless_output_next_tokens); keep one");
  if (!contrastive_attributed(catalogue, spec.attribution))
    throw ConfigError(spec.attribution.attributed_function.where,
                      "contextless next tokens have no effect, since the attributed function '" +
                          spec.attribution.attributed_function.name +
                          "' compares a token with no other; choose one that does, such as contrast_prob_diff, or "
                          "leave them out");
  for (const std::string& token : input.contextless_next_tokens)
    if (token.find_first_not_of(" \t\r\n") == std::string::npos)
      fail(input, "a contextless next token is blank; expected a word for each selected token");
  if (spec.ask_for_contextless_next_tokens && !can_ask)
    fail(input,
         "contextless next tokens are to be asked for (prompt_user_for_contextless_output_next_tokens), but "
         "nobody can be asked here; give them as contextless_output_next_tokens, or leave both out");
}

void check_strength(const StrongScores& strong, const std::string& which) {
  if (!std::isfinite(strong.std_weight))
    throw ConfigError(which + "_std_threshold is not a finite number; expected a count of standard deviations");
  if (strong.top_k && *strong.top_k < 1)
    throw ConfigError(which + "_topk is " + std::to_string(*strong.top_k) +
                      "; expected at least 1, or none to keep all");
}

}  // namespace

void check_context(const Catalogue& catalogue, const ContextInput& input, const ContextSpec& spec, bool can_ask,
                   const Notice& warn) {
  const ContextTemplates templates = parse_templates(input, spec);
  check_texts(input);
  check_input_context(input, templates.input, warn);
  check_output_context(input, spec, templates.output, can_ask, warn);
  if (warn && !templates.output.suffix().empty())
    warn("what the output template has behind {current}, '" + templates.output.suffix() +
         "', is no part of the output that is looked at");
  check_strength(spec.sensitive, "context_sensitivity");
  check_strength(spec.cues, "attribution");
  check_choice(catalogue, PluginKind::step_function, spec.sensitivity);
  if (!spec.attribution.step_scores.empty())
    throw ConfigError(spec.attribution.step_scores.front().where,
                      "step scores have no effect in the attribution of context cues; leave them out");
  check_attribution(catalogue, spec.attribution);
  check_contextless_tokens(catalogue, input, spec, can_ask);
  if (spec.alignment.way == AlignmentWay::states) require_model(spec.alignment.model, spec.alignment.where);
}

}  // namespace whence::host
