#include "lasso.h"

#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

using whence::Tensor;

double Surrogate::r2(const Tensor& x, const Tensor& y) const {
  const double all = (y - y.mean()).square().sum().item<double>();
  return all > 0 ? 1 - (y - predict(x)).square().sum().item<double>() / all : 0;
}

double Surrogate::correlation(const Tensor& x, const Tensor& y) const {
  const Tensor predicted = predict(x);
  const Tensor a = predicted - predicted.mean(), b = y - y.mean();
  const double scale = std::sqrt(a.square().sum().item<double>() * b.square().sum().item<double>());
  return scale > 0 ? a.dot(b).item<double>() / scale : 0;
}

Surrogate lasso(const Tensor& x, const Tensor& y, double alpha) {
  constexpr int kMostSweeps = 10000;
  constexpr double kTolerance = 1e-10;
  const std::int64_t count = x.size(0), columns = x.size(1);
  const Tensor mean = x.mean(0), deviation = (x - mean).square().mean(0).sqrt();
  const Tensor scale = at::where(deviation > 0, deviation, 1.0);
  const Tensor z = ((x - mean) / scale).t().contiguous();
  Tensor rest = (y - y.mean()).contiguous().clone(), weights = at::zeros({columns}, at::kDouble);
  double* left = rest.mutable_data_ptr<double>();
  double* weight = weights.mutable_data_ptr<double>();
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double largest = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
      if (deviation[j].item<double>() == 0) continue;
      const double* column = z.const_data_ptr<double>() + j * count;
      double along = 0;
      for (std::int64_t i = 0; i < count; ++i) along += column[i] * left[i];
      // A standardised column has the square sum `count`.
      const double whole = along / static_cast<double>(count) + weight[j];
      const double next = std::copysign(std::max(0.0, std::abs(whole) - alpha), whole);
      const double change = next - weight[j];
      if (change == 0) continue;
      for (std::int64_t i = 0; i < count; ++i) left[i] -= change * column[i];
      weight[j] = next;
      largest = std::max(largest, std::abs(change));
    }
    if (largest <= kTolerance) break;
  }
  Surrogate surrogate{weights / scale};
  surrogate.intercept = (y.mean() - mean.dot(surrogate.weights)).item<double>();
  return surrogate;
}
