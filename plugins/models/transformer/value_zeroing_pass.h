#pragma once

#include "decoder_pull_back.h"
#include "whence/value_zeroing.h"

namespace whence::transformer {

/// Rows with a zeroed value that go through a block together, if one read row does not have more.
inline constexpr std::int64_t kZeroedRowsTogether = 1024;

/// Runs the rows [R,D] of a layout and visits what the blocks make of the read rows when their attention reads no value
/// of one position; see ValueZeroing. Returns the rows that went through the blocks, as a mean over the layers.
std::int64_t visit_zeroed_values(const Decoder<float>& decoder, const RowLayout& layout,
                                 const std::vector<std::int64_t>& lengths, const Tensor& embeddings,
                                 const std::vector<ReadRow>& read, const std::vector<Tensor>& heads,
                                 const ValueZeroing::Visitor& visit);

}  // namespace whence::transformer
