#pragma once

#include <string>
#include <vector>

#include "whence/export.h"
#include "whence/generation.h"
#include "whence/model.h"
#include "whence/value.h"

namespace whence {

/// Calls `visit(name, pointer to member)` for every option that may be absent.
template <class Visit>
void visit_generation_options(const Visit& visit) {
  visit("max_new_tokens", &GenerationConfig::max_new_tokens);
  visit("max_length", &GenerationConfig::max_length);
  visit("min_new_tokens", &GenerationConfig::min_new_tokens);
  visit("min_length", &GenerationConfig::min_length);
  visit("eos_token_id", &GenerationConfig::eos);
  visit("stop_strings", &GenerationConfig::stop);
  visit("num_beams", &GenerationConfig::num_beams);
  visit("length_penalty", &GenerationConfig::length_penalty);
  visit("early_stopping", &GenerationConfig::early_stopping);
  visit("do_sample", &GenerationConfig::do_sample);
  visit("temperature", &GenerationConfig::temperature);
  visit("top_k", &GenerationConfig::top_k);
  visit("top_p", &GenerationConfig::top_p);
  visit("min_p", &GenerationConfig::min_p);
  visit("typical_p", &GenerationConfig::typical_p);
  visit("repetition_penalty", &GenerationConfig::repetition_penalty);
  visit("no_repeat_ngram_size", &GenerationConfig::no_repeat_ngram_size);
  visit("bad_words_ids", &GenerationConfig::bad_words_ids);
  visit("bad_words", &GenerationConfig::bad_words);
  visit("suppress_tokens", &GenerationConfig::suppress_tokens);
  visit("begin_suppress_tokens", &GenerationConfig::begin_suppress_tokens);
  visit("forced_bos_token_id", &GenerationConfig::forced_bos_token_id);
  visit("forced_eos_token_id", &GenerationConfig::forced_eos_token_id);
  visit("renormalize_logits", &GenerationConfig::renormalize_logits);
}

/// Names of all options, `seed` included.
WHENCE_API std::vector<std::string> generation_option_names();

/// Options by name; null is absent. Throws UnknownName for another key, ConfigError for a value of the wrong type or
/// out of its range, each at its place.
WHENCE_API GenerationConfig read_generation_options(const Value& options);

/// The options that are given, and the seed: what `read_generation_options` reads.
WHENCE_API Value generation_options(const GenerationConfig& config);

/// What `asked` means for a model: options that it lacks are those of the checkpoint, where these are lacking, too, the
/// defaults. Of max_new_tokens and max_length just one is left. Throws ConfigError for an option that is out of its
/// range, for one that would have no effect (such as a temperature without sampling), for contradictions, and for ids
/// outside the vocabulary; ModelError where the checkpoint has these.
WHENCE_API GenerationConfig resolved_generation(const GenerationConfig& asked, const ModelInfo& model);

/// Most tokens of a text with a prompt of this length, the room of the model included; `resolved` as above.
WHENCE_API std::int64_t most_tokens(const GenerationConfig& resolved, const ModelInfo& model, std::int64_t prompt);

}  // namespace whence
