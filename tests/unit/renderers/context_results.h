#pragma once

#include <string>
#include <vector>

#include "whence/context_attribution.h"

namespace whence::testing {

inline Value text_value(const std::string& text) { return Value(text); }

/// Two contexts, the first in two documents, and one selected token of four.
inline ContextAttribution context_result() {
  ContextAttribution result;
  result.input_context = {.text = "I was sick.\nIt rained.",
                          .tokens = {"I", "Ġwas", "Ġsick", ".Ċ", "It", "Ġrained", "."},
                          .units = {{"I was sick.", {0, 4}}, {"It rained.", {4, 7}}}};
  result.output_context = {.text = "Go home.", .tokens = {"Go", "Ġhome", "."}, .units = {}};
  result.input_current = "Where did I go?";
  result.output_current = "To the hospital.";
  result.output_tokens = {"To", "Ġthe", "Ġhospital → Ġoffice", "."};
  result.sensitivities = {0.125F, 0.25F, -2.5F, 0.125F};
  result.selected = {{.index = 2,
                      .token = "Ġhospital → Ġoffice",
                      .sensitivity = -2.5F,
                      .contextual_output = "Where did I go? Go home. To the hospital",
                      .contrast_token = "Ġoffice",
                      .contextless_output = "Where did I go? To the office",
                      .input_cues = CueScores{{0, 0.25F, 1, 0, -0.5F, 0, 0}, {1.25F, -0.5F}},
                      .output_cues = CueScores{{0, 0.75F, 0}, {}}}};
  result.info = {
      {"attribution_method", text_value("saliency")},       {"attributed_fn", text_value("contrast_prob_diff")},
      {"context_sensitivity_metric", text_value("pcxmi")},  {"model_name_or_path", text_value("models/tiny/")},
      {"context_sensitivity_std_threshold", Value(0.5)},    {"context_sensitivity_topk", Value(std::int64_t{1})},
      {"attribution_std_threshold", Value(std::int64_t{0})}};
  return result;
}

/// Tokens, names and options that try to leave their place.
inline ContextAttribution hostile_context() {
  ContextAttribution result = context_result();
  const std::string hurt = "</script><script>alert(1)</script>\x1b[31m\u202e";
  result.input_context->tokens[2] = hurt;
  result.input_context->text = result.input_current = result.output_current = hurt;
  result.input_context->units[0].name = hurt;
  result.output_tokens[0] = hurt;
  result.selected[0].contrast_token = result.selected[0].contextless_output = hurt;
  for (auto& [key, value] : result.info)
    if (value.is_string()) value = text_value(hurt);
  return result;
}

}  // namespace whence::testing
