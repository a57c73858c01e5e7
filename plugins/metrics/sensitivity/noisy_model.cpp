#include "noisy_model.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "whence/random.h"

using whence::Side;
using whence::Tensor;

NoisyModel::NoisyModel(const whence::Model& model, double radius, std::uint64_t seed, std::uint64_t sample)
    : model_(model), radius_(radius), seed_(seed), sample_(sample) {}

const Tensor& NoisyModel::noise(std::int64_t id, Side side) const {
  Tensor& row = noise_[{side, id}];
  if (row.defined()) return row;
  const whence::TokenIds& special = model_.tokenizer().on(side).all_special_ids();
  const std::int64_t width = info().embedding;
  if (std::binary_search(special.begin(), special.end(), id)) return row = at::zeros({width});
  const std::string name = (side == Side::source ? "source token " : "target token ") + std::to_string(id);
  whence::RandomStream random({seed_, name, "sensitivity", sample_});
  return row = ((random.uniform({width}) * 2 - 1) * radius_).to(at::kFloat);
}

Tensor NoisyModel::embed(const Tensor& ids, Side side) const {
  const Tensor rows = model_.embed(ids, side), flat = ids.reshape({-1}).contiguous();
  if (flat.numel() == 0) return rows;
  std::vector<Tensor> added;
  for (std::int64_t i = 0; i < flat.numel(); ++i) added.push_back(noise(flat.const_data_ptr<std::int64_t>()[i], side));
  return rows + at::stack(added).view(rows.sizes());
}

whence::Forward NoisyModel::forward(const whence::Inputs& inputs, const whence::ForwardRequest& request) const {
  whence::Inputs noisy = inputs;
  if (!noisy.target_embeddings.defined() && !noisy.target_states.defined())
    noisy.target_embeddings = embed(noisy.target.ids, Side::target);
  if (noisy.source.defined() && !noisy.source_embeddings.defined() && !noisy.source_states.defined())
    noisy.source_embeddings = embed(noisy.source.ids, Side::source);
  return model_.forward(noisy, request);
}
