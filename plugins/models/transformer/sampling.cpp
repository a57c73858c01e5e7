#include "sampling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/topk.h>

#include "whence/random.h"

namespace whence::transformer {

Sampler::Sampler(std::uint64_t seed, std::string sequence_id) : seed_(seed), sequence_(std::move(sequence_id)) {}

Sampler::Sampler(std::uint64_t seed, const TokenIds& prompt) : seed_(seed) {
  for (const std::int64_t id : prompt) sequence_ += std::to_string(id) + " ";
}

Tensor Sampler::draw(const Tensor& log_weights, std::int64_t count, std::int64_t step) const {
  RandomStream random({seed_, sequence_, "generation", static_cast<std::uint64_t>(step)});
  const Tensor gumbel = random.uniform(log_weights.sizes()).log_().neg_().log_().neg_();
  return std::get<1>(at::topk(log_weights + gumbel, count));
}

}  // namespace whence::transformer
