#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "whence/tensor.h"

namespace whence {

/// How a continuation is chosen. Names and defaults follow the usual generation options.
struct GenerationConfig {
  std::int64_t max_new_tokens = 20;
  bool do_sample = false;         ///< false: greedy
  double temperature = 1.0;       ///< > 0; sampling only
  std::int64_t top_k = 0;         ///< 0: off
  double top_p = 1.0;             ///< 1: off
  std::uint64_t seed = 0;         ///< sampling only; keyed with the sequence, so independent of the batch
  std::optional<TokenIds> eos;    ///< ids that end a text; absent: those of the checkpoint
  std::vector<std::string> stop;  ///< texts that end a continuation once it contains one (the text is kept)
};

/// Why a continuation ended.
enum class StopReason { eos, stop_text, length };

struct Generation {
  std::vector<TokenIds> ids;  ///< one per sequence, new tokens only (an ending EOS included)
  std::vector<StopReason> reasons;
};

/// Called after each new token with the number made so far; for progress bars.
using GenerationProgress = std::function<void(std::int64_t)>;

}  // namespace whence
