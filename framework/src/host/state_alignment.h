#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "whence/model.h"
#include "whence/tensor.h"
#include "whence/tokenizer.h"

namespace whence::host {

/// Of similarities [n,m] the product of the softmax over each row and that over each column, where both are above 1e-3
/// (Dou and Neubig 2021, "Word Alignment by Fine-tuning Embeddings on Parallel Corpora"); 0 elsewhere.
Tensor mutual_alignment(const Tensor& similarities);

/// For every token of `text` the position in `other` of the token that stands for it, or -1, found by the states that
/// `aligner` has of what both texts write: those that go into block `layer` of its encoder, or of its decoder where it
/// has none; the default is two thirds of its blocks. The two texts are tokenised as the aligner does, its tokens are
/// paired by `mutual_alignment` of the dot products of their states, every unit at mean 0 and variance 1, and what a
/// token of the texts shares of them, in letters, decides with which token it has most in common; of equals the first.
/// Special tokens are paired as `align_tokens` does. Throws ConfigError for a layer that there is not, InputError for
/// texts longer than the aligner's context.
std::vector<std::int64_t> align_by_states(const Model& aligner, std::optional<std::int64_t> layer,
                                          const Tokenizer& tokenizer, const TokenIds& text, const TokenIds& other);

}  // namespace whence::host
