#pragma once

#include <cstdint>

namespace whence::transformer {

enum class InstructionSet;

/// Columns of one panel of a packed matrix.
inline constexpr std::int64_t kPanelWidth = 64;
/// Bits of a bfloat16: the upper half of a float32.
using BFloat16Bits = std::uint16_t;

enum class Activation { silu, gelu, gelu_tanh, relu, relu2 };

/// The inner loops of the engine, compiled once for every instruction set. All of them are single-threaded, take
/// contiguous rows of `count` numbers unless a stride is given, and compute each result in an order that depends on
/// nothing but its own row. T is float or double; double is for checking.
template <class T>
struct Kernels {
  /// out[r,c] = (add ? out[r,c] : 0) + sum_k a[r,k] panel[k,c] for `rows` rows and kPanelWidth columns, with
  /// a[r,k] = a[r * row_stride + k * depth_stride] and panel [depth,kPanelWidth] contiguous.
  void (*product)(const T* a, std::int64_t row_stride, std::int64_t depth_stride, std::int64_t rows, const T* panel,
                  std::int64_t depth, T* out, std::int64_t out_stride, bool add);
  /// The same with bfloat16 factors, summed in float32: a[r] holds `pairs` pairs of neighbours, panel is
  /// [pairs,kPanelWidth,2]. Null for double.
  void (*product_bf16)(const BFloat16Bits* a, std::int64_t row_stride, std::int64_t rows, const BFloat16Bits* panel,
                       std::int64_t pairs, float* out, std::int64_t out_stride, bool add);
  /// Rounds to the nearest bfloat16, ties to even; numbers below the normal ones may become 0. Null for double.
  void (*to_bf16)(const T* x, std::int64_t count, BFloat16Bits* out);
  /// The same for x * y.
  void (*multiply_to_bf16)(const T* x, const T* y, std::int64_t count, BFloat16Bits* out);

  T (*dot)(const T* x, const T* y, std::int64_t count);
  /// out = factor * x
  void (*scale)(const T* x, T factor, std::int64_t count, T* out);
  /// out += factor * x
  void (*add_scaled)(const T* x, T factor, std::int64_t count, T* out);
  /// out = x * y
  void (*multiply)(const T* x, const T* y, std::int64_t count, T* out);
  /// Activation of x, NaN where x is, and its derivative unless `slope` is null.
  void (*activate)(Activation activation, const T* x, std::int64_t count, T* value, T* slope);
  /// x = softmax(scale * x) in place.
  void (*softmax)(T* x, T scale, std::int64_t count);
  /// out = scale * p * (d - sum(p * d)): a cotangent d of p = softmax(scale * x), at x. `out` may be d.
  void (*softmax_pull_back)(const T* p, const T* d, T scale, std::int64_t count, T* out);
  /// Turns `half` pairs (x[i], x[i + half]) by the angles whose cosines and sines are given; `out` may be x.
  void (*rotate)(const T* x, const T* cosine, const T* sine, std::int64_t half, T* out);
  /// The transpose of `rotate`.
  void (*rotate_back)(const T* x, const T* cosine, const T* sine, std::int64_t half, T* out);
};

/// Those of `instruction_set()`. [thread: any]
template <class T>
const Kernels<T>& kernels();

/// Those of an instruction set that the processor has.
template <class T>
const Kernels<T>& kernels_for(InstructionSet set);

}  // namespace whence::transformer
