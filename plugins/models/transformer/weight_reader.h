#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "architecture.h"
#include "projection.h"
#include "stack_config.h"
#include "tensor_store.h"
#include "whence/checkpoint_report.h"

namespace whence::transformer {

/// What a weight is for, and where: the role has a name in the architecture file.
struct WeightPlace {
  std::string_view stack;  ///< "", "encoder" or "decoder"
  std::string_view role;
  std::int64_t layer = 0;
  std::int64_t expert = 0;  ///< or head, where each has tensors of its own
};

/// Fetches the weights of a model by their role, checks their shapes and remembers which it took.
class WeightReader {
 public:
  /// All arguments must outlive the reader. Where there are `problems`, tensors that are missing or of another shape
  /// are added there and not thrown; what stands in for them may not be computed with.
  WeightReader(const TensorStore& store, const WeightNames& names, std::vector<std::string>* problems = nullptr);

  const WeightNames& names() const { return names_; }
  /// Whether the architecture has a name for the role.
  bool named(const WeightPlace& place) const { return names_.has(place.stack, place.role); }
  /// Whether the name holds "{expert}" or "{head}": each of these has a tensor of its own.
  bool one_each(const WeightPlace& place) const;
  /// Name of the role's tensor with `suffix`, as the checkpoint spells it; the first of the alternatives when it has
  /// none.
  std::string name(const WeightPlace& place, std::string_view suffix = ".weight") const;
  bool has(const WeightPlace& place, std::string_view suffix = ".weight") const {
    return store_.has(name(place, suffix));
  }
  bool has(const std::string& tensor) const { return store_.has(tensor); }
  /// First dimension of a tensor; throws ModelError when there is no such tensor or it is a scalar.
  std::int64_t rows(const std::string& tensor) const;

  /// Throws ModelError naming the tensor when it is missing or has another shape.
  Tensor take(const std::string& tensor, at::IntArrayRef shape);
  /// The same for numbers of any shape: [count].
  Tensor take_flat(const std::string& tensor, std::int64_t count);
  /// A matrix [out,in], which stays where it lies; stored the other way round when `transposed`.
  StoredMatrix take_matrix(const std::string& tensor, std::int64_t out, std::int64_t in, bool transposed = false);
  /// The rows of all experts, or of whatever is stacked: [count * out,in], in any number of dimensions.
  StoredMatrix take_stack(const std::string& tensor, std::int64_t count, std::int64_t out, std::int64_t in);
  /// A projection of one part, with its bias.
  Projection take_projection(const WeightPlace& place, std::int64_t out, std::int64_t in, Presence bias);

  /// What became of the tensors so far, in the order of the checkpoint.
  TensorUse use() const;
  std::int64_t parameters() const { return parameters_; }

 private:
  /// A tensor and the name of its role that it came from.
  struct Spelling {
    const std::string& pattern;
    std::string name;
  };
  Spelling spelling(const WeightPlace& place, std::string_view suffix) const;
  /// Whether the tensor is there and `fits` is true of its shape; else throws or adds a problem. Remembers that it was
  /// taken.
  template <class Fits>
  bool note(const std::string& tensor, at::IntArrayRef expected, Fits fits);
  bool note(const std::string& tensor, at::IntArrayRef expected);
  StoredMatrix stand_in(std::int64_t out, std::int64_t in) const;

  const TensorStore& store_;
  const WeightNames& names_;
  std::vector<std::string>* problems_;
  std::string dropped_prefix_;
  std::vector<std::string> missing_;
  std::set<std::string, std::less<>> taken_;
  std::int64_t parameters_ = 0;
};

}  // namespace whence::transformer
