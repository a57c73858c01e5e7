#include "rotary.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>

namespace whence::transformer {
namespace {

Tensor to_tensor(const std::vector<double>& numbers) {
  return at::tensor(at::ArrayRef<double>(numbers)).to(at::kFloat);
}

/// [size / 2]: theta ** (2 i / size), in float32 like the libraries that trained the models.
Tensor periods(double theta, std::int64_t size) {
  return at::pow(at::Scalar(theta), at::arange(0, size, 2).to(at::kFloat) / size);
}

Tensor llama3_frequencies(const Tensor& plain, const RotaryConfig& c) {
  const Tensor turns = c.original_positions * plain / (2 * std::numbers::pi);  // full turns within the first length
  const Tensor ramp =
      ((turns - c.low_frequency_factor) / (c.high_frequency_factor - c.low_frequency_factor)).clamp(0, 1);
  return (1 - ramp) * plain / c.factor + ramp * plain;
}

Tensor yarn_frequencies(const Tensor& period, const RotaryConfig& c) {
  const auto channel = [&](double turns) {
    return c.size * std::log(c.original_positions / (turns * 2 * std::numbers::pi)) / (2 * std::log(c.theta));
  };
  double low = channel(c.beta_fast), high = channel(c.beta_slow);
  if (c.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(c.size - 1));
  if (low == high) high += 0.001;
  const Tensor ramp = ((at::arange(c.size / 2).to(at::kFloat) - low) / (high - low)).clamp(0, 1);
  return ramp / (c.factor * period) + (1 - ramp) / period;
}

}  // namespace

Rotary::Rotary(RotaryConfig config, Tensor divisors) : config_(std::move(config)), divisors_(std::move(divisors)) {}

Tensor Rotary::frequencies(std::int64_t length) const {
  const RotaryConfig& c = config_;
  Tensor result;
  switch (c.scaling) {
    case RotaryScaling::none:
      result = 1 / periods(c.theta, c.size);
      break;
    case RotaryScaling::linear:
      result = 1 / periods(c.theta, c.size) / c.factor;
      break;
    case RotaryScaling::dynamic: {
      const double stretch = std::max(static_cast<double>(length), c.original_positions) / c.original_positions;
      const double base = c.factor * stretch - (c.factor - 1);
      const double exponent = static_cast<double>(c.size) / static_cast<double>(c.size - 2);
      result = 1 / periods(c.theta * std::pow(base, exponent), c.size);
      break;
    }
    case RotaryScaling::llama3:
      result = llama3_frequencies(1 / periods(c.theta, c.size), c);
      break;
    case RotaryScaling::yarn:
      result = yarn_frequencies(periods(c.theta, c.size), c);
      break;
    case RotaryScaling::longrope: {
      const bool is_long = static_cast<double>(length) > c.original_positions;
      result = 1 / (to_tensor(is_long ? c.long_divisors : c.short_divisors) * periods(c.theta, c.size));
      break;
    }
  }
  return divisors_.defined() ? result / divisors_ : result;
}

bool Rotary::same_frequencies(std::int64_t length, std::int64_t other) const {
  const auto beyond = [this](std::int64_t l) { return static_cast<double>(l) > config_.original_positions; };
  switch (config_.scaling) {
    case RotaryScaling::dynamic:
      return length == other || (!beyond(length) && !beyond(other));
    case RotaryScaling::longrope:
      return beyond(length) == beyond(other);
    default:
      return true;
  }
}

RotaryTable Rotary::table(const std::vector<std::int64_t>& lengths, std::int64_t start, std::int64_t count) const {
  const Tensor positions = at::arange(start, start + count).to(at::kFloat).unsqueeze(1);
  const bool shared =
      std::all_of(lengths.begin(), lengths.end(), [&](auto length) { return same_frequencies(length, lengths[0]); });
  std::vector<Tensor> angles;
  for (std::size_t b = 0; b < (shared ? 1 : lengths.size()); ++b)
    angles.push_back((positions * frequencies(lengths[b])).unsqueeze(0));
  const Tensor all = at::stack(angles);
  return {all.cos() * config_.amplitude, all.sin() * config_.amplitude};
}

}  // namespace whence::transformer
