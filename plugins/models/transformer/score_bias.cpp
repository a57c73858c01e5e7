#include "score_bias.h"

#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>

#include <bit>
#include <cmath>

#include "kernels.h"

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
    : origin_(longest - 1) {
  const std::int64_t columns = causal ? longest : 2 * longest - 1;
  table_ = at::empty({config.heads, columns}, c10::CppTypeToScalarType<T>::value);
  T* out = table_.mutable_data_ptr<T>();
  if (config.position_bias == PositionBias::relative) {
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
  if (rounds) rounded_scale_ = config.scale;
  const std::vector<double> slope = pads ? padded_slopes(config.heads) : slopes(config.heads);
  for (std::int64_t h = 0; h < config.heads; ++h)
    for (std::int64_t j = 0; j < columns; ++j) {
      const double own = slope[static_cast<std::size_t>(h)];
      out[h * columns + j] = static_cast<T>(rounds ? rounded(rounded(own) * rounded(static_cast<double>(j)))
                                                   : own * static_cast<double>(j - origin_));
    }
}

template <class T>
void ScoreBias<T>::add(std::int64_t head, std::int64_t query, std::int64_t first_key, std::int64_t count,
                       T* scores) const {
  const T* row = table_.const_data_ptr<T>() + head * table_.size(1);
  if (rounded_scale_ == 0) return kernels<T>().add_scaled(row + first_key + origin_ - query, T(1), count, scores);
  const auto scale = static_cast<T>(rounded_scale_);
  for (std::int64_t j = 0; j < count; ++j) scores[j] += scale * (row[first_key + j] - row[query]);
}

template class ScoreBias<float>;
template class ScoreBias<double>;

}  // namespace whence::transformer
