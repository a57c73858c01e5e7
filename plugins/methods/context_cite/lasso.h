#pragma once

#include "whence/tensor.h"

/// y ~ intercept + x weights.
struct Surrogate {
  whence::Tensor weights;  ///< [n] double
  double intercept = 0;

  whence::Tensor predict(const whence::Tensor& x) const { return x.matmul(weights) + intercept; }
  /// Share of the variance of y [C] that predictions of x [C,n] explain; 0 where y does not vary.
  double r2(const whence::Tensor& x, const whence::Tensor& y) const;
  /// Pearson correlation of y and predictions; 0 where one of them does not vary.
  double correlation(const whence::Tensor& x, const whence::Tensor& y) const;
};

/// min 1 / (2 C) |y - intercept - z w|^2 + alpha |w|_1 over the columns z of x, standardised, by coordinate descent;
/// the weights come back for x itself. x [C,n], y [C], double. Columns that do not vary weigh nothing.
Surrogate lasso(const whence::Tensor& x, const whence::Tensor& y, double alpha);
