#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "whence/tensor.h"

namespace whence {

/// Whether a beam search ends while open texts might still beat those that have ended.
enum class EarlyStopping {
  no,     ///< ends when the best open text, at its present length, scores no better than the worst ended one
  yes,    ///< ends once as many texts have ended as there are beams
  never,  ///< as `no`, but the best open text is scored at the length that favours it most
};

/// How a continuation is chosen. Options have the names of the usual generation keywords. One that is absent is what
/// the checkpoint says, or its default.
struct GenerationConfig {
  std::optional<std::int64_t> max_new_tokens;    ///< most tokens to add; default: 20, unless max_length is given
  std::optional<std::int64_t> max_length;        ///< most tokens of the text, prompt included; not with max_new_tokens
  std::optional<std::int64_t> min_new_tokens;    ///< tokens to add before one may end the text; default: 0
  std::optional<std::int64_t> min_length;        ///< tokens of the text, prompt included, before one may end it
  std::optional<TokenIds> eos;                   ///< "eos_token_id": ids that end a text
  std::optional<std::vector<std::string>> stop;  ///< "stop_strings": end a continuation that contains one; it is kept

  std::optional<std::int64_t> num_beams;        ///< texts that are followed at a time; default: 1, no beam search
  std::optional<double> length_penalty;         ///< beams: scores are divided by (new tokens)^penalty; default: 1
  std::optional<EarlyStopping> early_stopping;  ///< beams; default: no

  std::optional<bool> do_sample;      ///< draw tokens; default: false, the likeliest
  std::optional<double> temperature;  ///< > 0, divides logits; default: 1. As all below up to the seed: with do_sample
  std::optional<std::int64_t> top_k;  ///< draw from so many tokens; 0: from all; default: 50
  std::optional<double> top_p;        ///< draw from the likeliest that together have this probability; default: 1, all
  std::optional<double> min_p;        ///< draw from those with this share of the likeliest's probability; default: 0
  std::optional<double> typical_p;    ///< as top_p, by closeness to the entropy (arXiv:2202.00666); default: 1, all
  std::uint64_t seed = 0;             ///< with the sequence it keys what is drawn, whatever else is in the batch
  std::vector<std::string> sequence_ids;  ///< one for each sequence, to key what is drawn; none: the prompts do that

  std::optional<double> repetition_penalty;            ///< > 0, of tokens that were there before; default: 1
  std::optional<std::int64_t> no_repeat_ngram_size;    ///< no n tokens come twice in a row; default: 0, off
  std::optional<std::vector<TokenIds>> bad_words_ids;  ///< token sequences that are not generated
  std::optional<std::vector<std::string>> bad_words;   ///< as texts: alone and behind a space
  std::optional<TokenIds> suppress_tokens;             ///< ids that are not generated
  std::optional<TokenIds> begin_suppress_tokens;       ///< ids that do not come first
  std::optional<std::int64_t> forced_bos_token_id;  ///< comes first behind a text of one token, such as a start token
  std::optional<TokenIds> forced_eos_token_id;      ///< one of these comes where the length is reached; empty: none
  std::optional<bool> renormalize_logits;  ///< make probabilities of what is left after all else; default: false

  bool operator==(const GenerationConfig&) const = default;
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
