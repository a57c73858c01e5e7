#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "whence/span.h"
#include "whence/value.h"

namespace whence {

/// A sentence, paragraph or document of a context: neighbouring tokens that are cited together.
struct ContextUnit {
  std::string name;  ///< what it writes, or what the user calls it
  Span tokens;       ///< positions in ContextText::tokens
};

/// A context, as it stands in the texts that were attributed.
struct ContextText {
  std::string text;
  std::vector<std::string> tokens;  ///< raw vocabulary entries, e.g. "Ġhome"; C of them
  std::vector<ContextUnit> units;   ///< ascending and disjoint; empty: tokens alone are cited
};

/// How much the parts of a context matter to one generated token.
struct CueScores {
  std::vector<float> tokens;  ///< [C]
  std::vector<float> units;   ///< one for each unit
};

/// A generated token that depends on context, and the cues that it depends on.
struct ContextSensitiveToken {
  std::int64_t index = 0;         ///< in ContextAttribution::output_tokens
  std::string token;              ///< as there
  float sensitivity = 0;          ///< as in ContextAttribution::sensitivities
  std::string contextual_output;  ///< what the model had written with context, up to and with this token
  /// What it would have written without context, where the attributed function compares with that.
  std::optional<std::string> contrast_token, contextless_output;
  std::optional<CueScores> input_cues, output_cues;  ///< present where there is such a context
};

/// Which generated tokens depend on context, and on what of it (PECoRe, arXiv:2310.01188).
struct ContextAttribution {
  std::optional<ContextText> input_context, output_context;
  std::string input_current;
  std::string output_current;
  /// Raw vocabulary entries of the current output; "contextual → contextless" where the two outputs differ.
  std::vector<std::string> output_tokens;
  std::vector<float> sensitivities;             ///< one for each output token
  std::vector<ContextSensitiveToken> selected;  ///< by falling |sensitivity|; none: no token depends on context
  /// Everything needed to run it again; a mapping with the keys of docs/context-attribution.md.
  Value::Map info;
};

}  // namespace whence
