#pragma once

#include "decoder.h"
#include "whence/generation.h"
#include "whence/tokenizer.h"

namespace whence::transformer {

/// Continues every prompt on its own, so that a result does not depend on the others; each has its own cache of keys
/// and values. `eos` are the ids that end a text unless the config names others. Prompts are not empty and not longer
/// than the model's positions. Throws ConfigError for an option out of its range.
Generation generate_texts(const Decoder<float>& decoder, const Tokenizer& tokenizer,
                          const std::vector<TokenIds>& prompts, const GenerationConfig& config, const TokenIds& eos,
                          const GenerationProgress& progress);

}  // namespace whence::transformer
