#pragma once

#include "whence/method.h"
#include "whence/params.h"

/// LIME as the reference toolkit has it: rows of embeddings, each kept or filled with the number of the unknown token's
/// id, are regressed on number by number; a sample counts as many times as it has unchanged numbers.
class ReferenceLime final : public whence::Method {
 public:
  /// Throws ConfigError for parameters that this convention has no use for.
  explicit ReferenceLime(const whence::Params& params);

  whence::Attribution attribute(const whence::Problem& problem) const override;

 private:
  std::int64_t samples_;
  double mask_prob_, alpha_;
};
