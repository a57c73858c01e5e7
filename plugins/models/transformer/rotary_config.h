#pragma once

#include <cstdint>
#include <vector>

#include "architecture.h"

namespace whence::transformer {

/// How the frequencies of rotary positions are stretched for longer texts.
enum class RotaryScaling {
  none,
  linear,    ///< all frequencies divided by the factor
  dynamic,   ///< the base grows with the text beyond the trained length (NTK-aware)
  llama3,    ///< low frequencies divided by the factor, a ramp between
  yarn,      ///< arXiv:2309.00071
  longrope,  ///< arXiv:2402.13753: one divisor a frequency, two sets of them
};

/// Rotary positions (arXiv:2104.09864) over the two halves of a head.
struct RotaryConfig {
  std::int64_t size = 0;  ///< channels of a head that turn
  double theta = 10000;
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1;
  double original_positions = 0;    ///< text length the model was first trained for
  double low_frequency_factor = 1;  ///< llama3
  double high_frequency_factor = 4;
  double beta_fast = 32;  ///< yarn
  double beta_slow = 1;
  bool truncate = true;                               ///< yarn: the ramp starts and ends at whole channels
  double amplitude = 1;                               ///< cosines and sines are multiplied by it
  std::vector<double> short_divisors, long_divisors;  ///< longrope: [size / 2]
};

/// Reads the section `rotary` of a stack and what the checkpoint says about scaling. `size` channels of each head turn,
/// `positions` is the longest text by the checkpoint. Throws ModelError for a kind of scaling or a setting that isn't
/// known.
RotaryConfig read_rotary_config(const Architecture& architecture, const HyperParameters& checkpoint,
                                std::string_view stack, std::int64_t size, std::int64_t positions);

/// The longest text that the model takes: more than `positions` where the scaling stretches it.
std::int64_t context_length(const RotaryConfig& rotary, std::int64_t positions);

}  // namespace whence::transformer
