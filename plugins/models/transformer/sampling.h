#pragma once

#include <cstdint>
#include <string>

#include "whence/tensor.h"

namespace whence::transformer {

/// Draws tokens of one sequence. What is drawn depends on the seed, the key of the sequence and the step alone.
class Sampler {
 public:
  Sampler(std::uint64_t seed, std::string sequence_id);
  /// For a sequence without a name.
  Sampler(std::uint64_t seed, const TokenIds& prompt);

  /// `count` different indices [count] into the unnormalised log probabilities [n] float32, in the order in which they
  /// are drawn: the largest sums with Gumbel noise, which draws without replacement (arXiv:1903.06059).
  Tensor draw(const Tensor& log_weights, std::int64_t count, std::int64_t step) const;

 private:
  std::uint64_t seed_;
  std::string sequence_;
};

}  // namespace whence::transformer
