#pragma once

#include <vector>

#include "whence/batch.h"

namespace whence::transformer {

/// Lengths of the texts of a batch, checked against its ids and `positions`, the longest text of the model. Throws
/// InputError when a text is empty or too long, std::invalid_argument when the shapes contradict each other.
std::vector<std::int64_t> checked_lengths(const PaddedIds& batch, std::int64_t positions);

/// [B,L,1] bool: true at padded positions; undefined when there are none.
Tensor padding_mask(const std::vector<std::int64_t>& lengths, std::int64_t longest);

/// The ids [B,L], contiguous and with 0 at padded positions. Throws InputError for an id outside the vocabulary.
Tensor checked_ids(const Tensor& ids, const Tensor& padding, std::int64_t vocabulary);

}  // namespace whence::transformer
