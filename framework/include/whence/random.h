#pragma once

#include <ATen/core/PhiloxRNGEngine.h>

#include <cstdint>
#include <string_view>

#include "whence/export.h"
#include "whence/tensor.h"

namespace whence {

/// What random numbers are drawn for. Equal keys give equal numbers, in whatever order and batch they are drawn.
struct RandomKey {
  std::uint64_t seed = 0;     ///< of the experiment
  std::string_view sequence;  ///< Sequence::id
  std::string_view purpose;   ///< name of the method, and of what it draws where that is several things
  std::uint64_t sample = 0;
};

/// Random numbers of one key, in the order they are asked for: Philox4x32-10 (Salmon et al. 2011, Parallel Random
/// Numbers: As Easy as 1, 2, 3), its key and stream hashed from the RandomKey. Each number takes 64 random bits, so
/// that the first numbers of a long tensor are those of a short one. [thread: one]
class WHENCE_API RandomStream {
 public:
  explicit RandomStream(const RandomKey& key);

  /// In (0, 1), ends excluded: float64 of any shape.
  Tensor uniform(at::IntArrayRef shape);
  /// Mean 0, variance 1: float64 of any shape.
  Tensor normal(at::IntArrayRef shape);
  /// `count` numbers of [0, population), each as likely, repeats allowed: [count] int64. Throws std::invalid_argument
  /// for an empty population.
  Tensor choice(std::int64_t population, std::int64_t count);
  /// Numbers of [0, count) in random order: [count] int64.
  Tensor permutation(std::int64_t count);

 private:
  at::Philox4_32 engine_;
};

}  // namespace whence
