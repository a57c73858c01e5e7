#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/tensor.h"

namespace whence {

/// Names of the reductions: absmax, max, mean, min, prod, sum, vnorm.
WHENCE_API const std::vector<std::string>& reduction_names();

/// Reduces one dim. absmax keeps the sign of the element of largest magnitude and takes NaN only where there is nothing
/// else; vnorm is the norm of order `norm_order`; in all others a NaN gives NaN. Throws UnknownName.
WHENCE_API Tensor reduce(const Tensor& values, std::int64_t dim, std::string_view reduction, double norm_order = 2.0);

/// Divides every column of source rows and target rows together by the sum of its absolute values (at least 1e-12). NaN
/// counts as 0 and stays NaN. Either tensor may be undefined; [S,T,...] and [L,T,...].
WHENCE_API void normalize_columns(Tensor& source, Tensor& target);

/// Divides both by the largest absolute value in either; all-zero tensors stay zero.
WHENCE_API void rescale_by_maximum(Tensor& source, Tensor& target);

}  // namespace whence
