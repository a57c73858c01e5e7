#include "padded_batch.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>

#include "whence/error.h"

namespace whence::transformer {

std::vector<std::int64_t> checked_lengths(const PaddedIds& batch, std::int64_t positions) {
  if (!batch.ids.defined() || batch.ids.dim() != 2 || !batch.lengths.defined() || batch.lengths.dim() != 1 ||
      batch.lengths.size(0) != batch.ids.size(0) || batch.lengths.scalar_type() != at::kLong)
    throw std::invalid_argument("expected target ids [B,L] and int64 lengths [B]");
  if (batch.unseen.defined() && (batch.unseen.scalar_type() != at::kBool || batch.unseen.sizes() != batch.ids.sizes()))
    throw std::invalid_argument("expected unseen positions [B,L] of bool that fit the ids");
  const Tensor packed = batch.lengths.contiguous();
  std::vector<std::int64_t> lengths(packed.const_data_ptr<std::int64_t>(),
                                    packed.const_data_ptr<std::int64_t>() + packed.numel());
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    if (lengths[b] > batch.ids.size(1)) throw std::invalid_argument("a length is larger than the padded batch");
    const std::string place = "sequence " + std::to_string(b) + ": ";
    if (lengths[b] <= 0) throw InputError(place + "expected at least one token, found none");
    if (lengths[b] > positions)
      throw InputError(place + "expected at most the model's " + std::to_string(positions) + " tokens, found " +
                       std::to_string(lengths[b]) + "; shorten the text");
  }
  return lengths;
}

Tensor padding_mask(const std::vector<std::int64_t>& lengths, std::int64_t longest) {
  if (std::all_of(lengths.begin(), lengths.end(), [&](auto length) { return length == longest; })) return {};
  const Tensor ends = at::tensor(lengths, at::kLong).unsqueeze(1);
  return (at::arange(longest).unsqueeze(0) >= ends).unsqueeze(2);
}

Tensor checked_ids(const Tensor& ids, const Tensor& padding, std::int64_t vocabulary) {
  Tensor result = ids.to(at::kLong).contiguous();
  if (padding.defined()) result = result.masked_fill(padding.squeeze(2), 0);
  const std::int64_t* data = result.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < result.numel(); ++i)
    if (data[i] < 0 || data[i] >= vocabulary)
      throw InputError("token id " + std::to_string(data[i]) + " is outside the vocabulary; expected 0 to " +
                       std::to_string(vocabulary - 1));
  return result;
}

}  // namespace whence::transformer
