#pragma once

#include <cstdint>
#include <functional>

#include "whence/batch.h"
#include "whence/tensor.h"

namespace whence {

/// What becomes of the gradients at several points.
enum class Moment {
  sum,      ///< sum_k weight * gradient_k
  squares,  ///< sum_k weight * gradient_k^2, for each hidden unit
  variance  ///< mean_k (gradient_k - mean)^2, for each hidden unit
};

/// One point of one sequence.
struct PointPlace {
  std::int64_t sequence = 0;  ///< its place in the batch
  Side side = Side::target;
  std::int64_t point = 0;
};

/// Points of a method's own at which gradients are taken: samples around the input, nodes of a bent path. Their rows
/// are made when a pass needs them, so that no more are held at a time than a pass takes; a callback may be asked for a
/// point again and must answer the same. A row may depend on nothing behind it, or steps would see their future. Both
/// attributed sides move together; the others stay as they are.
struct Points {
  using Rows = std::function<Tensor(const PointPlace&)>;

  std::int64_t count = 1;
  double weight = 1;  ///< of each point
  Rows rows;          ///< [rows,D] that stand for the embeddings of a sequence; the first of Problem::embeddings' rows
  Rows factor;        ///< [rows,D] that the gradient at the point is multiplied by; empty: nothing
  Moment moment = Moment::sum;
};

}  // namespace whence
