// The kernels, written once over vectors of the compiler. Each kernels_<set>.cpp includes this file once, compiled with
// the flags of its instruction set. No header with inline functions may be included here: the linker could keep the
// copy that was compiled for a processor newer than the one at hand.

#include "kernels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace whence::transformer {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kTileRows = 6, kTileVectors = 4;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kTileRows = 6, kTileVectors = 2;
#else
constexpr int kVectorBytes = 16, kTileRows = 4, kTileVectors = 2;
#endif
/// Numbers of a panel are fetched this many steps of the depth before they are used.
constexpr std::int64_t kFetchAhead = 8;

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
constexpr std::int64_t kLanes = kVectorBytes / sizeof(T);

template <class T>
inline Vector<T> load(const T* x) {
  Vector<T> v;
  __builtin_memcpy(&v, x, sizeof v);
  return v;
}
template <class T>
inline void store(T* x, Vector<T> v) {
  __builtin_memcpy(x, &v, sizeof v);
}
template <class T>
inline Vector<T> broadcast(T x) {
  return x - Vector<T>{};
}
template <class T>
inline T sum_lanes(Vector<T> v) {
  T sum = 0;
  for (std::int64_t i = 0; i < kLanes<T>; ++i) sum += v[i];
  return sum;
}

/// kRows x (kTileVectors vectors) of a product, kept in registers.
template <class T, int kRows>
inline void tile(const T* a, std::int64_t row_stride, std::int64_t depth_stride, const T* b, std::int64_t depth, T* out,
                 std::int64_t out_stride, bool add) {
  Vector<T> sums[kRows][kTileVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) sums[r][v] = add ? load(out + r * out_stride + v * kLanes<T>) : Vector<T>{};
  for (std::int64_t k = 0; k < depth; ++k) {
    const T* row = b + k * kPanelWidth;
    Vector<T> right[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      right[v] = load(row + v * kLanes<T>);
      __builtin_prefetch(row + kFetchAhead * kPanelWidth + v * kLanes<T>);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vector<T> left = broadcast(a[r * row_stride + k * depth_stride]);
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) sums[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) store(out + r * out_stride + v * kLanes<T>, sums[r][v]);
}

template <class T>
void product(const T* a, std::int64_t row_stride, std::int64_t depth_stride, std::int64_t rows, const T* panel,
             std::int64_t depth, T* out, std::int64_t out_stride, bool add) {
  for (std::int64_t column = 0; column < kPanelWidth; column += kTileVectors * kLanes<T>) {
    const T* b = panel + column;
    for (std::int64_t r = 0; r < rows; r += kTileRows) {
      const T* left = a + r * row_stride;
      T* to = out + r * out_stride + column;
      switch (rows - r) {
        case 1:
          tile<T, 1>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
          break;
        case 2:
          tile<T, 2>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
          break;
        case 3:
          tile<T, 3>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
          break;
        case 4:
          tile<T, 4>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
          break;
        case 5:
          tile < T, kTileRows<5 ? kTileRows : 5>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
          break;
        default:
          tile<T, kTileRows>(left, row_stride, depth_stride, b, depth, to, out_stride, add);
      }
    }
  }
}

typedef std::uint32_t Words __attribute__((vector_size(kVectorBytes)));
typedef std::int32_t Integers __attribute__((vector_size(kVectorBytes)));

inline Words load_pairs(const BFloat16Bits* x) {
  Words v;
  __builtin_memcpy(&v, x, sizeof v);
  return v;
}

/// sums += the two products of each pair.
inline void add_pairs(Vector<float>& sums, Words a, Words b) {
#if defined(__AVX512BF16__)
  sums = (Vector<float>)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
#else
  constexpr std::uint32_t kUpper = 0xffff0000u;
  sums += (Vector<float>)(a << 16) * (Vector<float>)(b << 16);
  sums += (Vector<float>)(a & kUpper) * (Vector<float>)(b & kUpper);
#endif
}

template <int kRows>
inline void tile_bf16(const BFloat16Bits* a, std::int64_t row_stride, const BFloat16Bits* b, std::int64_t pairs,
                      float* out, std::int64_t out_stride, bool add) {
  Vector<float> sums[kRows][kTileVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v)
      sums[r][v] = add ? load(out + r * out_stride + v * kLanes<float>) : Vector<float>{};
  for (std::int64_t k = 0; k < pairs; ++k) {
    const BFloat16Bits* row = b + 2 * k * kPanelWidth;
    Words right[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      right[v] = load_pairs(row + 2 * v * kLanes<float>);
      __builtin_prefetch(row + 2 * (kFetchAhead * kPanelWidth + v * kLanes<float>));
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      std::uint32_t pair;
      __builtin_memcpy(&pair, a + r * row_stride + 2 * k, sizeof pair);
      const Words left = pair - Words{};
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) add_pairs(sums[r][v], left, right[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) store(out + r * out_stride + v * kLanes<float>, sums[r][v]);
}

void product_bf16(const BFloat16Bits* a, std::int64_t row_stride, std::int64_t rows, const BFloat16Bits* panel,
                  std::int64_t pairs, float* out, std::int64_t out_stride, bool add) {
  for (std::int64_t column = 0; column < kPanelWidth; column += kTileVectors * kLanes<float>) {
    const BFloat16Bits* b = panel + 2 * column;
    for (std::int64_t r = 0; r < rows; r += kTileRows) {
      const BFloat16Bits* left = a + r * row_stride;
      float* to = out + r * out_stride + column;
      switch (rows - r) {
        case 1:
          tile_bf16<1>(left, row_stride, b, pairs, to, out_stride, add);
          break;
        case 2:
          tile_bf16<2>(left, row_stride, b, pairs, to, out_stride, add);
          break;
        case 3:
          tile_bf16<3>(left, row_stride, b, pairs, to, out_stride, add);
          break;
        case 4:
          tile_bf16<4>(left, row_stride, b, pairs, to, out_stride, add);
          break;
        case 5:
          tile_bf16 < kTileRows<5 ? kTileRows : 5>(left, row_stride, b, pairs, to, out_stride, add);
          break;
        default:
          tile_bf16<kTileRows>(left, row_stride, b, pairs, to, out_stride, add);
      }
    }
  }
}

inline BFloat16Bits rounded(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const std::uint32_t nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  // Rounding could carry a NaN over to infinity.
  return static_cast<BFloat16Bits>((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : nearest);
}

#if defined(__AVX512BF16__)
inline void store_rounded(BFloat16Bits* out, Vector<float> v) {
  const __m256bh bits = _mm512_cvtneps_pbh((__m512)v);
  __builtin_memcpy(out, &bits, sizeof bits);
}
#else
inline void store_rounded(BFloat16Bits* out, Vector<float> v) {
  for (std::int64_t i = 0; i < kLanes<float>; ++i) out[i] = rounded(v[i]);
}
#endif

void to_bf16(const float* x, std::int64_t count, BFloat16Bits* out) {
  std::int64_t i = 0;
  for (; i + kLanes<float> <= count; i += kLanes<float>) store_rounded(out + i, load(x + i));
  for (; i < count; ++i) out[i] = rounded(x[i]);
}

void multiply_to_bf16(const float* x, const float* y, std::int64_t count, BFloat16Bits* out) {
  std::int64_t i = 0;
  for (; i + kLanes<float> <= count; i += kLanes<float>) store_rounded(out + i, load(x + i) * load(y + i));
  for (; i < count; ++i) out[i] = rounded(x[i] * y[i]);
}

/// e^x with a relative error of about 1e-7: 2^n e^r with |r| <= ln(2) / 2 and the Taylor-like polynomial of degree 7.
inline Vector<float> exponential(Vector<float> x) {
  constexpr float kLargest = 88.3762626647949f, kSmallest = -87.3365447505531f, kLog2E = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f, kRound = 12582912.0f;
  x = x > kLargest ? broadcast(kLargest) : x;
  x = x < kSmallest ? broadcast(kSmallest) : x;
  const Vector<float> n = (x * kLog2E + kRound) - kRound;
  const Vector<float> r = (x - n * kLn2High) - n * kLn2Low;
  Vector<float> p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * (Vector<float>)power;
}

inline Vector<double> exponential(Vector<double> x) {
  for (std::int64_t i = 0; i < kLanes<double>; ++i) x[i] = __builtin_exp(x[i]);
  return x;
}

inline Vector<float> error_function(Vector<float> x) {
  for (std::int64_t i = 0; i < kLanes<float>; ++i) x[i] = __builtin_erff(x[i]);
  return x;
}
inline Vector<double> error_function(Vector<double> x) {
  for (std::int64_t i = 0; i < kLanes<double>; ++i) x[i] = __builtin_erf(x[i]);
  return x;
}

/// Calls body(index, vector) for whole vectors of x, and once for the rest filled up with zeros.
template <class T, class Body>
inline void for_vectors(const T* x, std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) body(i, kLanes<T>, load(x + i));
  if (i == count) return;
  Vector<T> rest{};
  __builtin_memcpy(&rest, x + i, static_cast<std::size_t>(count - i) * sizeof(T));
  body(i, count - i, rest);
}

template <class T>
inline void store_some(T* x, Vector<T> v, std::int64_t count) {
  __builtin_memcpy(x, &v, static_cast<std::size_t>(count) * sizeof(T));
}

template <class T>
T dot(const T* x, const T* y, std::int64_t count) {
  Vector<T> sums[2] = {};
  std::int64_t i = 0;
  for (; i + 2 * kLanes<T> <= count; i += 2 * kLanes<T>) {
    sums[0] += load(x + i) * load(y + i);
    sums[1] += load(x + i + kLanes<T>) * load(y + i + kLanes<T>);
  }
  T sum = sum_lanes<T>(sums[0] + sums[1]);
  for (; i < count; ++i) sum += x[i] * y[i];
  return sum;
}

template <class T>
void scale(const T* x, T factor, std::int64_t count, T* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = factor * x[i];
}

template <class T>
void add_scaled(const T* x, T factor, std::int64_t count, T* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += factor * x[i];
}

template <class T>
void multiply(const T* x, const T* y, std::int64_t count, T* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = x[i] * y[i];
}

/// The activation and its derivative at a vector.
template <class T>
inline void activation_at(Activation activation, Vector<T> x, Vector<T>& value, Vector<T>& slope) {
  constexpr T kSqrtHalf = T(0.70710678118654752440), kInverseSqrtTau = T(0.39894228040143267794);
  constexpr T kTanhScale = T(0.79788456080286535588), kTanhCube = T(0.044715);
  switch (activation) {
    case Activation::silu: {
      const Vector<T> sigmoid = T(1) / (T(1) + exponential(-x));
      value = x * sigmoid;
      slope = sigmoid * (T(1) + x * (T(1) - sigmoid));
      return;
    }
    case Activation::gelu: {
      const Vector<T> below = T(0.5) * (T(1) + error_function(x * kSqrtHalf));
      value = x * below;
      slope = below + x * kInverseSqrtTau * exponential(T(-0.5) * x * x);
      return;
    }
    case Activation::gelu_tanh: {
      const Vector<T> inner = kTanhScale * (x + kTanhCube * x * x * x);
      // (1 + tanh(inner)) / 2 and (1 - tanh(inner)) / 2, neither by subtraction, which would leave few digits of the
      // smaller one.
      const Vector<T> power = exponential(T(-2) * (inner < T(0) ? -inner : inner));
      const Vector<T> larger = T(1) / (T(1) + power), smaller = power * larger;
      const Vector<T> above = inner < T(0) ? smaller : larger, below = inner < T(0) ? larger : smaller;
      value = x * above;
      slope = above + T(2) * x * above * below * kTanhScale * (T(1) + T(3) * kTanhCube * x * x);
      return;
    }
    case Activation::relu:
      value = x < T(0) ? Vector<T>{} : x;  // keeps NaN
      slope = x > T(0) ? broadcast(T(1)) : Vector<T>{};
      return;
    case Activation::relu2: {
      const Vector<T> positive = x < T(0) ? Vector<T>{} : x;
      value = positive * positive;
      slope = T(2) * positive;
      return;
    }
  }
}

template <class T>
void activate(Activation activation, const T* x, std::int64_t count, T* value, T* slope) {
  for_vectors(x, count, [&](std::int64_t i, std::int64_t lanes, Vector<T> v) {
    Vector<T> result{}, derivative{};
    activation_at<T>(activation, v, result, derivative);
    store_some(value + i, result, lanes);
    if (slope) store_some(slope + i, derivative, lanes);
  });
}

template <class T>
void softmax(T* x, T factor, std::int64_t count) {
  T largest = factor * x[0];
  for (std::int64_t i = 0; i < count; ++i) {
    x[i] *= factor;
    largest = x[i] > largest ? x[i] : largest;
  }
  Vector<T> sums{};
  T rest = 0;
  for_vectors(x, count, [&](std::int64_t i, std::int64_t lanes, Vector<T> v) {
    const Vector<T> powers = exponential(v - largest);
    store_some(x + i, powers, lanes);
    if (lanes == kLanes<T>) {
      sums += powers;
    } else {
      for (std::int64_t lane = 0; lane < lanes; ++lane) rest += powers[lane];
    }
  });
  scale<T>(x, 1 / (sum_lanes<T>(sums) + rest), count, x);
}

template <class T>
void softmax_pull_back(const T* p, const T* d, T factor, std::int64_t count, T* out) {
  const T along = dot(p, d, count);
  for (std::int64_t i = 0; i < count; ++i) out[i] = factor * p[i] * (d[i] - along);
}

template <class T>
void rotate(const T* x, const T* cosine, const T* sine, std::int64_t half, T* out) {
  for (std::int64_t i = 0; i < half; ++i) {
    const T first = x[i], second = x[i + half];
    out[i] = first * cosine[i] - second * sine[i];
    out[i + half] = second * cosine[i] + first * sine[i];
  }
}

template <class T>
void rotate_back(const T* x, const T* cosine, const T* sine, std::int64_t half, T* out) {
  for (std::int64_t i = 0; i < half; ++i) {
    const T first = x[i], second = x[i + half];
    out[i] = first * cosine[i] + second * sine[i];
    out[i + half] = second * cosine[i] - first * sine[i];
  }
}

constexpr Kernels<float> kFloatKernels{product<float>,
                                       product_bf16,
                                       to_bf16,
                                       multiply_to_bf16,
                                       dot<float>,
                                       scale<float>,
                                       add_scaled<float>,
                                       multiply<float>,
                                       activate<float>,
                                       softmax<float>,
                                       softmax_pull_back<float>,
                                       rotate<float>,
                                       rotate_back<float>};
constexpr Kernels<double> kDoubleKernels{product<double>,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         dot<double>,
                                         scale<double>,
                                         add_scaled<double>,
                                         multiply<double>,
                                         activate<double>,
                                         softmax<double>,
                                         softmax_pull_back<double>,
                                         rotate<double>,
                                         rotate_back<double>};

}  // namespace
}  // namespace whence::transformer
