#include "sampling.h"

#include <ATen/ops/topk.h>

#include <cmath>
#include <random>

namespace whence::transformer {
namespace {

void add(std::vector<std::uint32_t>& key, std::uint64_t number) {
  key.push_back(static_cast<std::uint32_t>(number));
  key.push_back(static_cast<std::uint32_t>(number >> 32));
}

}  // namespace

Sampler::Sampler(std::uint64_t seed, const std::string& sequence_id) {
  add(key_, seed);
  for (const char byte : sequence_id) key_.push_back(static_cast<unsigned char>(byte));
}

Sampler::Sampler(std::uint64_t seed, const TokenIds& prompt) {
  add(key_, seed);
  for (const std::int64_t id : prompt) add(key_, static_cast<std::uint64_t>(id));
}

Tensor Sampler::draw(const Tensor& log_weights, std::int64_t count, std::int64_t step) const {
  std::vector<std::uint32_t> key = key_;
  add(key, static_cast<std::uint64_t>(step));
  std::seed_seq sequence(key.begin(), key.end());
  std::mt19937_64 generator(sequence);
  const Tensor sums = log_weights.to(at::kDouble).contiguous();
  double* sum = sums.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < sums.numel(); ++i) {
    // In (0, 1): 53 random bits and a half.
    const double uniform = (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53;
    sum[i] -= std::log(-std::log(uniform));
  }
  return std::get<1>(at::topk(sums, count));
}

}  // namespace whence::transformer
