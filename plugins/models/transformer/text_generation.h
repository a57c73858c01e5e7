#pragma once

#include "next_token_scorer.h"
#include "whence/generation.h"
#include "whence/model.h"
#include "whence/tokenizer.h"

namespace whence::transformer {

/// Continues every prompt, all of them step by step together; a result does not depend on the others. `info` is that
/// of the model that `scorer` asks, and `tokenizer` that of its target texts. Prompts are not empty; one that has no
/// room left gets no token. Throws ConfigError for options that don't fit, see `resolved_generation`, and when they
/// leave no token that may come next.
Generation generate_texts(NextTokenScorer& scorer, const ModelInfo& info, const Tokenizer& tokenizer,
                          const std::vector<TokenIds>& prompts, const GenerationConfig& config,
                          const GenerationProgress& progress);

}  // namespace whence::transformer
