#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "architecture.h"
#include "decoder_config.h"
#include "projection.h"
#include "tensor_store.h"

namespace whence::transformer {

/// Fetches the weights of a model by their role, checks their shapes and remembers which it took.
class WeightReader {
 public:
  /// All arguments must outlive the reader.
  WeightReader(const TensorStore& store, const WeightNames& names);

  /// The name of `role`, without the prefix of the body when the checkpoint was saved without it.
  std::string name(std::string_view role, std::int64_t layer = 0) const;
  bool has(const std::string& tensor) const { return store_.has(tensor); }
  /// First dimension of a tensor; throws ModelError when there is no such tensor or it is a scalar.
  std::int64_t rows(const std::string& tensor) const;

  /// Throws ModelError naming the tensor when it is missing or has another shape.
  Tensor take(const std::string& tensor, at::IntArrayRef shape);
  /// The same for a matrix, which stays where it lies.
  StoredMatrix take_matrix(const std::string& tensor, std::int64_t out, std::int64_t in);
  /// A projection of one part, with its bias.
  Projection take_projection(std::string_view role, std::int64_t layer, std::int64_t out, std::int64_t in,
                             Presence bias);
  /// As `take_projection` for queries and keys: rows stored for interleaved rotary pairs are put in halves, head by
  /// head.
  Projection take_rotary_projection(std::string_view role, std::int64_t layer, std::int64_t heads,
                                    std::int64_t head_size, std::int64_t in, Presence bias);

  /// Tensors of the checkpoint that nobody took, in its order.
  std::vector<std::string> unused() const;
  std::int64_t parameters() const { return parameters_; }

 private:
  /// Checks the shape and remembers that the tensor was taken.
  void note(const std::string& tensor, at::IntArrayRef shape);

  const TensorStore& store_;
  const WeightNames& names_;
  std::string dropped_prefix_;
  std::set<std::string, std::less<>> taken_;
  std::int64_t parameters_ = 0;
};

}  // namespace whence::transformer
