#pragma once

#include <vector>

#include "dropout.h"
#include "row_layout.h"
#include "score_bias.h"
#include "whence/tensor.h"

namespace whence::transformer {

/// Which positions a query sees.
enum class Sight {
  causal,  ///< those of its own text up to itself
  all,     ///< its whole text
  prefix,  ///< those before its segment and no others: a decoder's rows look at the states of their source
};

/// Attention with grouped key and value heads (arXiv:2305.13245), between the projections. The rows it works on hold
/// the queries of all heads, then, unless only a prefix is seen, the keys, then the values, after norms and positions:
/// [R,Q] with Q = (heads + 2 key_value_heads) * head_size, or heads * head_size.
struct AttentionShape {
  std::int64_t heads = 0, key_value_heads = 0, head_size = 0;
  Sight sight = Sight::causal;
  std::int64_t window = 0;  ///< causal: a query sees this many positions up to itself; 0: all before it
  double scale = 1;         ///< of the products of queries and keys
  double softcap = 0;       ///< scores become softcap tanh(score / softcap); 0: they stay

  std::int64_t queries() const { return heads * head_size; }
  std::int64_t keys() const { return key_value_heads * head_size; }
  std::int64_t width() const { return queries() + (sight == Sight::prefix ? 0 : 2 * keys()); }
  /// Positions [0, end) that some row of a segment may see.
  std::int64_t end(const Segment& segment) const { return sight == Sight::prefix ? segment.start : segment.end(); }
  /// Positions [first_seen, end_seen) that a query sees.
  std::int64_t first_seen(std::int64_t query) const {
    return window > 0 ? std::max<std::int64_t>(0, query - window + 1) : 0;
  }
  std::int64_t end_seen(const Segment& segment, std::int64_t query) const {
    return sight == Sight::causal ? query + 1 : end(segment);
  }
};

/// Values mixed by the softmax of the scores: `rows` [R,Q] -> `mixed` [R,H*head]. `bias` may be null. `weights`, when
/// defined, is [texts,H,L,keys] of zeros and takes the weights of every row. `dropout` may be null.
template <class T>
void attend(const AttentionShape& shape, const ScoreBias<T>* bias, const RowLayout& layout, std::size_t layer,
            const Tensor& rows, Tensor& mixed, Tensor* weights = nullptr, const DropoutMasks* dropout = nullptr);

/// What one head of one row sees, for those who want to take it apart: weights [end] over positions [0, end), end being
/// `shape.end_seen` of the row.
template <class T>
std::vector<T> attention_weights(const AttentionShape& shape, const ScoreBias<T>* bias, const RowLayout& layout,
                                 std::size_t layer, const Tensor& rows, std::int64_t row, std::int64_t head);

/// Keys or values of one position of a segment's text, wherever they lie.
template <class T>
class KeyValueRows {
 public:
  KeyValueRows(const AttentionShape& shape, const Segment& segment, std::size_t layer, const T* rows,
               std::int64_t key_value_head);

  const T* key(std::int64_t position) const { return at(position, own_key_, prefix_key_); }
  const T* value(std::int64_t position) const { return at(position, own_value_, prefix_value_); }

 private:
  const T* at(std::int64_t position, const T* own, const T* prefix) const {
    return position < start_ ? prefix + position * prefix_stride_ : own + (position - start_) * own_stride_;
  }

  std::int64_t start_, own_stride_, prefix_stride_ = 0;
  const T *own_key_, *own_value_, *prefix_key_ = nullptr, *prefix_value_ = nullptr;
};

/// How the backward of attention departs from the derivative.
struct AttentionRules {
  bool frozen_softmax = false;     ///< weights are constants
  double product_factor = 1;       ///< of the cotangents of both branches of q k and of weights * values
  double softmax_temperature = 1;  ///< the Jacobian of the softmax is taken at scores / temperature
};

/// Cotangents that are carried through one text together: some steps, by ascending position that they are read at.
struct CotangentSteps {
  std::int64_t segment = 0;
  std::vector<std::int64_t> step;      ///< index of each in the request
  std::vector<std::int64_t> position;  ///< where each is read, in the segment
  std::int64_t first_row = 0;          ///< of its packed rows
  std::vector<std::int64_t> offset;    ///< [positions up to the last one]: packed rows before each, from first_row on
  std::vector<std::int64_t> active;    ///< [positions]: steps that are read before the position carry nothing there

  /// Packed row of step number k at a position of the segment's text; the step must be read there or later.
  std::int64_t row(std::int64_t index, std::int64_t k) const {
    return first_row + offset[static_cast<std::size_t>(index)] + k - active[static_cast<std::size_t>(index)];
  }
};

/// Where the cotangents of keys and values that rows of a prefix hold are to be added.
struct PrefixCotangents {
  Tensor rows;                          ///< [C',2 KV*head], keys, then values
  std::vector<std::int64_t> first_row;  ///< of each of the texts; behind it rows by position, then by step
};

/// Cotangents of the mixed values -> of queries, keys and values as they stand in `rows`: `mixed` -> `result` [C,Q], C
/// packed rows of `texts`. With `read_only`, `mixed` has one row for each step, at the position it is read, in the
/// order of `texts`; else it has the packed rows. Cotangents of keys and values before a segment's start are dropped
/// unless `prefix` takes them, which goes with Sight::prefix alone.
template <class T>
void attention_pull_back(const AttentionShape& shape, const ScoreBias<T>* bias, const AttentionRules& rules,
                         const RowLayout& layout, std::size_t layer, const Tensor& rows,
                         const std::vector<CotangentSteps>& texts, bool read_only, const Tensor& mixed, Tensor& result,
                         PrefixCotangents* prefix = nullptr);

}  // namespace whence::transformer
