#pragma once

#include "decoder.h"
#include "whence/value_zeroing.h"

namespace whence::transformer {

/// Rows with a zeroed value that go through a block together, if one read row does not have more.
inline constexpr std::int64_t kZeroedRowsTogether = 1024;

/// One attention of a stack whose values are zeroed, and the rows that are read without them.
struct ZeroedAttention {
  ValueZeroing::Attention attention = ValueZeroing::Attention::target;
  std::vector<ReadRow> read;
  const std::vector<Tensor>* heads = nullptr;  ///< as ValueZeroing::Values has them
};

struct ZeroedPass {
  Tensor states;          ///< [R,D] what comes out of the last block
  std::int64_t rows = 0;  ///< that went through the blocks, as a mean over the layers
};

/// Runs embeddings [R,E] through a stack and visits what the blocks make of the read rows when one attention reads no
/// value of one position; see ValueZeroing. `source` is that of StackPass. Throws std::invalid_argument for heads that
/// the stack does not have.
ZeroedPass visit_zeroed_values(const Stack<float>& stack, const RowLayout& layout,
                               const std::vector<std::int64_t>& lengths, const Tensor& embeddings,
                               const RowLayout* source, const std::vector<ZeroedAttention>& asked,
                               const ValueZeroing::Visitor& visit);

}  // namespace whence::transformer
