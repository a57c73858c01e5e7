#pragma once

#include <cstdint>

#include "whence/generation.h"

namespace whence::transformer {

/// Throws ConfigError when an option is out of its range.
void check_generation(const GenerationConfig& config);

/// Chooses the tokens of one text. What it draws depends on the seed, the prompt and the step alone.
class Sampler {
 public:
  Sampler(const GenerationConfig& config, const TokenIds& prompt) : config_(config), prompt_(prompt) {}

  /// The token number `step` of the continuation, from logits [V].
  std::int64_t choose(const Tensor& logits, std::int64_t step) const;

 private:
  std::int64_t draw(const Tensor& logits, std::int64_t step) const;
  double uniform(std::int64_t step) const;

  const GenerationConfig& config_;
  const TokenIds& prompt_;
};

}  // namespace whence::transformer
