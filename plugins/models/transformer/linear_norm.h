#pragma once

#include <optional>

#include "norm.h"

namespace whence::transformer {

/// A norm over rows with their deviations as constants: normed = scale * direct(x) + constant, where `direct` is the
/// same linear map for every row. Without a norm all of this is the identity. [thread: any]
class LinearNorm {
 public:
  LinearNorm() = default;
  /// `rows` [L,D] are what the norm runs over.
  LinearNorm(const std::optional<Norm>& norm, const Tensor& rows);
  /// `inverse` [L] are 1 / deviation of such rows.
  static LinearNorm with_inverse(const std::optional<Norm>& norm, const Tensor& inverse);

  /// [L,1], or a number.
  const Tensor& scale() const { return scale_; }
  /// x [...,D] without its mean, if the norm takes it away, times the gain.
  Tensor direct(const Tensor& x) const;
  /// What x [L,D], a part of the rows, becomes.
  Tensor linear(const Tensor& x) const { return direct(x) * scale_; }
  /// The bias, [D] or [1].
  Tensor constant() const;
  /// Cotangents [L,D] of what `linear` makes -> of x.
  Tensor transposed(const Tensor& cotangents) const;
  /// The same norm of some of the rows.
  LinearNorm of_rows(const Tensor& which) const;

 private:
  std::optional<Norm> norm_;
  Tensor scale_;
};

}  // namespace whence::transformer
