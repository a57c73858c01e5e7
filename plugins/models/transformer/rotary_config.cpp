#include "rotary_config.h"

#include <cmath>

#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr double kLargest = 1e9;
constexpr double kSmallest = 1e-9;

/// The members of `rope_scaling`, under their names in config.json or in GGUF.
class ScalingReader {
 public:
  explicit ScalingReader(const Option& option) : option_(option) {
    if (!option.value().is_map()) option.fail("expected a mapping, found " + std::string(option.value().type_name()));
  }

  /// The first of `names` that is there.
  Option get(std::initializer_list<const char*> names) const {
    for (const char* name : names)
      if (const Value* value = option_.value().find(name); value && !value->is_null())
        return {*value, option_.place() + ", '" + name + "'", option_.key()};
    return {Value(), option_.place() + ", '" + *names.begin() + "'", option_.key()};
  }
  double number(std::initializer_list<const char*> names, double fallback) const {
    const Option option = get(names);
    return option.present() ? option.number(kSmallest, kLargest) : fallback;
  }
  double require(std::initializer_list<const char*> names) const {
    const Option option = get(names);
    if (!option.present()) option.fail("is missing");
    return option.number(kSmallest, kLargest);
  }
  void allow(RotaryScaling scaling) const {
    std::vector<std::string> known = {"type",
                                      "rope_type",
                                      "rope_theta",
                                      "factor",
                                      "original_max_position_embeddings",
                                      "original_context_length",
                                      "finetuned",
                                      "attention_factor",
                                      "attn_factor"};
    if (scaling == RotaryScaling::llama3) known.insert(known.end(), {"low_freq_factor", "high_freq_factor"});
    if (scaling == RotaryScaling::yarn)
      known.insert(known.end(), {"beta_fast", "beta_slow", "yarn_beta_fast", "yarn_beta_slow", "mscale",
                                 "mscale_all_dim", "truncate"});
    if (scaling == RotaryScaling::longrope) known.insert(known.end(), {"short_factor", "long_factor"});
    for (const auto& [name, value] : option_.value().as_map())
      if (std::find(known.begin(), known.end(), name) == known.end())
        option_.fail(UnknownName({}, "setting", name, known).what());
  }

 private:
  const Option& option_;
};

double yarn_magnitude(double factor, double scale) { return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0; }

std::vector<double> divisors(const ScalingReader& reader, const char* name, std::int64_t count) {
  const Option option = reader.get({name});
  if (!option.present()) option.fail("is missing");
  const auto result = option.numbers();
  if (static_cast<std::int64_t>(result.size()) != count)
    option.fail("expected " + std::to_string(count) + " numbers, found " + std::to_string(result.size()));
  for (const double x : result)
    if (x < kSmallest) option.fail("expected positive numbers");
  return result;
}

}  // namespace

RotaryConfig read_rotary_config(const Architecture& architecture, const HyperParameters& checkpoint,
                                std::string_view stack, std::int64_t size, std::int64_t positions) {
  RotaryConfig result;
  result.size = size;
  if (const Option theta = find_option(architecture, checkpoint, stack, "rotary", "theta"); theta.present())
    result.theta = theta.number(1, 1e15);
  result.original_positions = static_cast<double>(positions);

  const Option option = find_option(architecture, checkpoint, stack, "rotary", "scaling");
  if (!option.present()) return result;
  const ScalingReader reader(option);
  const Option kind = reader.get({"rope_type", "type"});
  static const std::vector<std::string> kKinds = {"default", "linear",   "dynamic", "llama3",
                                                  "yarn",    "longrope", "none",    "su"};
  static constexpr RotaryScaling kScalings[] = {RotaryScaling::none,   RotaryScaling::linear,  RotaryScaling::dynamic,
                                                RotaryScaling::llama3, RotaryScaling::yarn,    RotaryScaling::longrope,
                                                RotaryScaling::none,   RotaryScaling::longrope};
  if (kind.present())
    result.scaling = kScalings[kind.choice("rotary scaling", kKinds)];
  else if (checkpoint.format() == CheckpointFormat::gguf)  // which says linear by a factor alone
    result.scaling = reader.get({"factor"}).present() ? RotaryScaling::linear : RotaryScaling::none;
  else
    kind.fail("is missing; known: default, dynamic, linear, llama3, longrope, yarn");
  reader.allow(result.scaling);

  const Option outer = find_option(architecture, checkpoint, stack, "rotary", "original_positions");
  result.original_positions =
      outer.present()
          ? outer.number(1, kLargest)
          : reader.number({"original_max_position_embeddings", "original_context_length"}, result.original_positions);
  const Option amplitude = reader.get({"attention_factor", "attn_factor"});
  if (amplitude.present()) result.amplitude = amplitude.number(kSmallest, kLargest);
  switch (result.scaling) {
    case RotaryScaling::none:
      break;
    case RotaryScaling::linear:
    case RotaryScaling::dynamic:
      result.factor = reader.require({"factor"});
      break;
    case RotaryScaling::llama3:
      result.factor = reader.require({"factor"});
      result.low_frequency_factor = reader.require({"low_freq_factor"});
      result.high_frequency_factor = reader.require({"high_freq_factor"});
      if (result.high_frequency_factor <= result.low_frequency_factor)
        option.fail("expected 'high_freq_factor' above 'low_freq_factor'");
      break;
    case RotaryScaling::yarn: {
      result.factor = reader.require({"factor"});
      result.beta_fast = reader.number({"beta_fast", "yarn_beta_fast"}, result.beta_fast);
      result.beta_slow = reader.number({"beta_slow", "yarn_beta_slow"}, result.beta_slow);
      if (const Option truncate = reader.get({"truncate"}); truncate.present()) result.truncate = truncate.boolean();
      const Option scale = reader.get({"mscale"}), scale_all = reader.get({"mscale_all_dim"});
      if (!amplitude.present())
        result.amplitude = scale.present() && scale_all.present()
                               ? yarn_magnitude(result.factor, scale.number(kSmallest, kLargest)) /
                                     yarn_magnitude(result.factor, scale_all.number(kSmallest, kLargest))
                               : yarn_magnitude(result.factor, 1);
      break;
    }
    case RotaryScaling::longrope: {
      result.short_divisors = divisors(reader, "short_factor", size / 2);
      result.long_divisors = divisors(reader, "long_factor", size / 2);
      // The ratio of the two lengths counts when the checkpoint names both, else the factor.
      const double ratio = static_cast<double>(positions) / result.original_positions;
      result.factor = ratio != 1 ? ratio : reader.number({"factor"}, 1);
      if (!amplitude.present() && result.factor > 1)
        result.amplitude = std::sqrt(1 + std::log(result.factor) / std::log(result.original_positions));
      break;
    }
  }
  return result;
}

std::int64_t context_length(const RotaryConfig& rotary, std::int64_t positions) {
  const double stretched = rotary.factor * rotary.original_positions;
  const bool stretches = rotary.scaling != RotaryScaling::none && rotary.factor > 1;
  return stretches && stretched < kLargest ? std::max(positions, static_cast<std::int64_t>(stretched)) : positions;
}

}  // namespace whence::transformer
