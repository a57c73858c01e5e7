#include "score_bias.h"

#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>

#include <bit>
#include <cmath>

namespace whence::transformer {
namespace {

/// base^1, base^2, ... with base = 2^(-8 / count), which only powers of two have.
std::vector<double> slopes_of_power(std::int64_t count) {
  std::vector<double> result;
  for (std::int64_t i = 1; i <= count; ++i) result.push_back(std::exp2(-8.0 * static_cast<double>(i) / count));
  return result;
}

/// Other numbers of heads take every other slope of twice as many behind those of the power of two below.
std::vector<double> slopes(std::int64_t heads) {
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  std::vector<double> result = slopes_of_power(power);
  const std::vector<double> finer = slopes_of_power(2 * power);
  for (std::size_t i = 0; std::ssize(result) < heads; i += 2) result.push_back(finer[i]);
  return result;
}

/// MPT: of the slopes for the power of two above, every other one first, from the second on.
std::vector<double> padded_slopes(std::int64_t heads) {
  const auto power = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(heads)));
  const std::vector<double> all = slopes_of_power(power);
  if (power == heads) return all;
  std::vector<double> result;
  for (std::size_t start : {1, 0})
    for (std::size_t i = start; i < all.size(); i += 2) result.push_back(all[i]);
  result.resize(static_cast<std::size_t>(heads));
  return result;
}

double rounded(double x) { return static_cast<float>(c10::BFloat16(static_cast<float>(x))); }

/// Distances up to half of the buckets have one each; longer ones share, the more the longer they are.
std::int64_t bucket_of(std::int64_t distance, bool causal, std::int64_t buckets, std::int64_t farthest) {
  std::int64_t first = 0, past = std::max<std::int64_t>(0, -distance);
  if (!causal) {
    buckets /= 2;
    first = distance > 0 ? buckets : 0;
    past = std::abs(distance);
  }
  const std::int64_t exact = buckets / 2;
  if (past < exact) return first + past;
  const auto ratio = static_cast<float>(past) / static_cast<float>(exact);
  const float range = std::log(static_cast<float>(static_cast<double>(farthest) / static_cast<double>(exact)));
  const float share = std::log(ratio) / range * static_cast<float>(buckets - exact);
  return first + std::min(exact + static_cast<std::int64_t>(share), buckets - 1);
}

}  // namespace

template <class T>
ScoreBias<T>::ScoreBias(const AttentionConfig& config, const Tensor& relative, bool causal, std::int64_t longest)
    : relative_(config.position_bias == PositionBias::relative), origin_(longest - 1) {
  const std::int64_t columns = relative_ ? 2 * longest - 1 : longest;
  table_ = at::empty({config.heads, columns}, c10::CppTypeToScalarType<T>::value);
  T* out = table_.mutable_data_ptr<T>();
  if (relative_) {
    const Tensor biases = relative.to(c10::CppTypeToScalarType<T>::value).contiguous();
    const T* from = biases.const_data_ptr<T>();
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t bucket = bucket_of(j - origin_, causal, config.relative_buckets, config.relative_distance);
      for (std::int64_t h = 0; h < config.heads; ++h) out[h * columns + j] = from[h * config.relative_buckets + bucket];
    }
    return;
  }
  const bool pads = config.position_bias == PositionBias::alibi_padded;
  const bool rounds = config.position_bias == PositionBias::alibi_rounded;
  const std::vector<double> slope = pads ? padded_slopes(config.heads) : slopes(config.heads);
  for (std::int64_t h = 0; h < config.heads; ++h)
    for (std::int64_t j = 0; j < columns; ++j) {
      const auto key = static_cast<double>(j);
      const double own = slope[static_cast<std::size_t>(h)];
      // Falcon adds before it scales, and makes the biases in bfloat16.
      out[h * columns + j] = static_cast<T>(rounds ? rounded(rounded(own) * rounded(key)) * config.scale : own * key);
    }
}

template class ScoreBias<float>;
template class ScoreBias<double>;

}  // namespace whence::transformer
