#include "whence/reduce.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/nansum.h>
#include <ATen/ops/prod.h>
#include <ATen/ops/sum.h>

#include <limits>

#include "whence/error.h"

namespace whence {
namespace {

using Reduction = Tensor (*)(const Tensor&, std::int64_t dim, double norm_order);

Tensor absmax(const Tensor& values, std::int64_t dim, double) {
  // Ranked below everything, NaN is chosen only where there is nothing else.
  const Tensor rank = at::nan_to_num(values.abs(), -1.0, std::numeric_limits<double>::infinity());
  return values.gather(dim, rank.argmax(dim, /*keepdim=*/true)).squeeze(dim);
}

const std::map<std::string, Reduction, std::less<>>& reductions() {
  static const std::map<std::string, Reduction, std::less<>> table = {
      {"absmax", absmax},
      {"max", [](const Tensor& values, std::int64_t dim, double) { return values.amax(dim); }},
      {"mean", [](const Tensor& values, std::int64_t dim, double) { return values.mean(dim); }},
      {"min", [](const Tensor& values, std::int64_t dim, double) { return values.amin(dim); }},
      {"prod", [](const Tensor& values, std::int64_t dim, double) { return values.prod(dim); }},
      {"sum", [](const Tensor& values, std::int64_t dim, double) { return values.sum(dim); }},
      {"vnorm", [](const Tensor& values, std::int64_t dim,
                   double norm_order) { return at::linalg_vector_norm(values, norm_order, dim); }},
  };
  return table;
}

/// Applies `divide` to whichever of the two exists.
template <class Divide>
void for_each_defined(Tensor& source, Tensor& target, Divide divide) {
  for (Tensor* tensor : {&source, &target})
    if (tensor->defined()) divide(*tensor);
}

}  // namespace

const std::vector<std::string>& reduction_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const auto& [name, reduction] : reductions()) list.push_back(name);
    return list;
  }();
  return names;
}

Tensor reduce(const Tensor& values, std::int64_t dim, std::string_view reduction, double norm_order) {
  const auto found = reductions().find(reduction);
  if (found == reductions().end()) throw UnknownName({}, "reduction", reduction, reduction_names());
  return found->second(values.is_floating_point() ? values : values.to(at::kFloat), dim, norm_order);
}

void normalize_columns(Tensor& source, Tensor& target) {
  Tensor total;
  for_each_defined(source, target, [&](Tensor& tensor) {
    const Tensor sum = tensor.abs().nansum(0);
    total = total.defined() ? total + sum : sum;
  });
  for_each_defined(source, target, [&](Tensor& tensor) { tensor = tensor / total.clamp_min(1e-12); });
}

void rescale_by_maximum(Tensor& source, Tensor& target) {
  double largest = 0;
  for_each_defined(source, target, [&](Tensor& tensor) {
    const double infinity = std::numeric_limits<double>::infinity();
    if (tensor.numel() > 0)
      largest = std::max(largest, at::nan_to_num(tensor.abs(), 0.0, infinity).max().item<double>());
  });
  if (largest > 0) for_each_defined(source, target, [&](Tensor& tensor) { tensor = tensor / largest; });
}

}  // namespace whence
