#include "checkpoint_generation.h"

#include <sstream>

#include "hyper_parameters.h"
#include "whence/error.h"
#include "whence/generation_options.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;

/// The usual default of max_length: it stands for so many new tokens, which is the default anyway.
constexpr std::int64_t kUsualMaxLength = 20;

/// Options that change what is generated and are not available here, with a value at which they do nothing beside null.
const std::vector<std::pair<std::string, Value>>& unavailable() {
  static const std::vector<std::pair<std::string, Value>> options{
      {"num_return_sequences", Value(std::int64_t{1})},
      {"num_beam_groups", Value(std::int64_t{1})},
      {"diversity_penalty", Value(0.0)},
      {"encoder_repetition_penalty", Value(1.0)},
      {"encoder_no_repeat_ngram_size", Value(std::int64_t{0})},
      {"epsilon_cutoff", Value(0.0)},
      {"eta_cutoff", Value(0.0)},
      {"guidance_scale", Value(1.0)},
      {"penalty_alpha", Value(0.0)},
      {"exponential_decay_length_penalty", {}},
      {"sequence_bias", {}},
      {"constraints", {}},
      {"force_words_ids", {}},
      {"watermarking_config", {}},
      {"token_healing", Value(false)},
      {"dola_layers", {}},
      {"max_time", {}},
  };
  return options;
}

bool equal(const Value& a, const Value& b) {
  return a.is_number() && b.is_number() ? a.as_double() == b.as_double() : a == b;
}

std::string number_text(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

}  // namespace

CheckpointGeneration read_checkpoint_generation(const fs::path& checkpoint) {
  std::error_code unreadable;
  if (!fs::is_directory(checkpoint, unreadable)) return {};
  const fs::path own = checkpoint / "generation_config.json";
  const HyperParameters file =
      HyperParameters::from_config(fs::exists(own, unreadable) ? own : checkpoint / "config.json");
  Value::Map options;
  for (const std::string& name : generation_option_names())
    if (Value value = file.find(name); name != "seed" && !value.is_null()) options.emplace_back(name, std::move(value));
  CheckpointGeneration result;
  try {
    result.options = read_generation_options(Value(std::move(options)));
  } catch (const ConfigError& error) {
    result.unsupported = file.file() + ": " + error.what() + "; correct the file, or give the generated texts";
  }
  if (result.options.max_length == kUsualMaxLength) result.options.max_length = {};
  for (const auto& [name, idle] : unavailable()) {
    const Value value = file.find(name);
    if (!result.unsupported.empty() || value.is_null() || equal(value, idle)) continue;
    result.unsupported = file.place(name) + (value.is_number() ? " is " + number_text(value.as_double()) : "") +
                         ": generating with this option is not available; take it out of the file, or give the "
                         "generated texts";
  }
  return result;
}

}  // namespace whence::transformer
