#pragma once

#include "stack.h"

namespace whence::transformer {

/// A row that the head read: the state of `text` at `position` gives the logits of step `step`.
struct ReadRow {
  std::int64_t text = 0, step = 0, position = 0;
  std::int64_t row = 0;  ///< of the pass
};

/// The encoder's part of a traced pass.
struct SourceTrace {
  StackTrace stack;
  NormTrace final_norm;  ///< of all rows
  KeyValues key_values;  ///< of every layer of the decoder, [R',2 KV*head]
  RowLayout seen_from;   ///< the decoder's rows behind the positions of their sources
};

/// One traced pass of a decoder, from the input embeddings to the rows that the head reads.
struct PassTrace {
  StackTrace stack;
  std::optional<SourceTrace> source;  ///< of a decoder that looks at one
  std::vector<ReadRow> read;          ///< [S], by text, then by step
  NormTrace final_norm;               ///< of the read rows
  Tensor logits;                      ///< [S,V], where a soft cap bends them
};

/// A stack of blocks with a head. T is float, or double for checking. Immutable once made. [thread: any]
template <class T>
class Decoder : public Stack<T> {
 public:
  Decoder(DecoderConfig config, DecoderWeights weights, WeightPolicy policy);

  /// Logits [n,V] of states [n,D], with what the backward needs of it in `trace` unless it is null. Throws ModelError
  /// when some are not finite.
  Tensor logits(const Tensor& states, PassTrace* trace = nullptr, const BlockDropout& dropout = {}) const;
  /// Cotangents of logits -> of states: [n,V] -> [n,D], `read` [n] being indices of rows that the head read.
  Tensor through_logits(const Tensor& cotangents, const std::vector<std::int64_t>& read, const PassTrace& trace,
                        bool frozen_norms) const;

 private:
  double logit_scale_, logit_softcap_;
  std::optional<Linear<T>> project_out_;
  Linear<T> head_;
};

}  // namespace whence::transformer
