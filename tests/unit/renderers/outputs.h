#pragma once

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <limits>
#include <string>
#include <vector>

#include "whence/attribution_output.h"

namespace whence::testing {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline std::vector<Token> tokens(const std::vector<std::string>& texts) {
  std::vector<Token> list;
  for (const std::string& text : texts) list.push_back({text, static_cast<std::int64_t>(list.size())});
  return list;
}

/// Causal scores [rows,T] that depend on row and step alone; `sign` alternates when asked.
inline Tensor causal_scores(std::int64_t rows, std::int64_t start, std::int64_t steps, bool with_negative) {
  Tensor scores = at::full({rows, steps}, kNan);
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t step = 0; step < steps; ++step)
      if (row < start + step)
        scores[row][step] = (with_negative && (row + step) % 3 == 0 ? -1.0 : 1.0) * ((row * 7 + step * 3) % 11) / 11.0;
  return scores;
}

/// An encoder-decoder sequence of 5 source and 6 target tokens, explained from position 1 on.
inline AttributionOutput encoder_decoder() {
  SequenceAttribution sequence;
  sequence.source = tokens({"▁Hello", "▁日本", ",", "▁world", "</s>"});
  sequence.target = tokens({"<pad>", "▁Bon", "jour", "▁le", "▁monde", "</s>"});
  sequence.steps = {1, 6};
  sequence.source_attributions = causal_scores(5, 5, 5, true);
  sequence.target_attributions = causal_scores(6, 1, 5, true);
  sequence.step_scores["probability"] = at::tensor({0.5, 0.25, kNan, 1.0, 0.75});
  AttributionOutput output;
  output.sequences.push_back(std::move(sequence));
  return output;
}

/// Two tokens that try to leave their place, and a step on them.
inline AttributionOutput hostile() {
  SequenceAttribution sequence;
  sequence.target = tokens({"</script><script>alert(1)</script>", "\"'><!--\x1b[31m\u202e\u2028 ]]>&amp;\xff", "x"});
  sequence.source = sequence.target;
  sequence.steps = {2, 3};
  sequence.target_attributions = at::tensor({1.0, -0.5, kNan}).unsqueeze(1);
  sequence.step_scores["<img src=x>"] = at::tensor({1.0});
  AttributionOutput output;
  output.info = {{"attribution_method", Value(std::string("<b>\"bold\"</b>"))},
                 {"notes", Value(Value::List{Value(std::string("<i>note</i>"))})},
                 {"generated_texts", Value(Value::List{Value(std::string("</script>"))})}};
  output.sequences.push_back(std::move(sequence));
  return output;
}

}  // namespace whence::testing
