#pragma once

#include <vector>

#include "rotary_config.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// Cosines and sines of some positions; each [1 or B, 1, n, size / 2] float32.
struct RotaryTable {
  Tensor cosine, sine;
};

/// Turns query and key vectors by angles that grow with their position.
class Rotary {
 public:
  /// `divisors`: [size / 2] numbers that divide the frequencies after scaling (rope_freqs of GGUF); may be undefined.
  explicit Rotary(RotaryConfig config, Tensor divisors = {});

  /// The table of positions [start, start + count) of texts of the given lengths. One row serves all texts unless the
  /// scaling makes frequencies depend on the length.
  RotaryTable table(const std::vector<std::int64_t>& lengths, std::int64_t start, std::int64_t count) const;

  /// True when texts of these two lengths turn with the same frequencies, so that cached keys of one serve the other.
  bool same_frequencies(std::int64_t length, std::int64_t other) const;

 private:
  Tensor frequencies(std::int64_t length) const;

  RotaryConfig config_;
  Tensor divisors_;
};

}  // namespace whence::transformer
