// Every kernel of every instruction set that this processor has, against the same formula in double precision.
#include "kernels.h"

#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "instruction_set.h"
#include "numbers.h"

namespace whence::transformer {
namespace {

const std::vector<std::int64_t> kCounts = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129, 255};
const std::vector<std::int64_t> kDepths = {1, 2, 3, 7, 16, 33, 129, 300};
constexpr std::int64_t kMostRows = 13;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class KernelsOf : public ::testing::TestWithParam<InstructionSet> {
 protected:
  template <class Check>
  static void in_both_precisions(const Check& check) {
    {
      SCOPED_TRACE("float");
      check(kernels_for<float>(GetParam()));
    }
    SCOPED_TRACE("double");
    check(kernels_for<double>(GetParam()));
  }

  static const Kernels<float>& floats() { return kernels_for<float>(GetParam()); }

  Random random;
};

/// A left factor in either order, a panel, and a result in rows that are longer than what is written.
template <class T>
struct Product {
  std::int64_t rows, depth, row_stride, depth_stride, out_stride;
  std::vector<T> a, panel, out;

  Product(Random& random, std::int64_t rows, std::int64_t depth, bool turned)
      : rows(rows),
        depth(depth),
        row_stride(turned ? 1 : depth + 3),
        depth_stride(turned ? rows + 2 : 1),
        out_stride(kPanelWidth + rows % 2 * 6),
        a(random.numbers<T>((rows + 2) * (depth + 3))),
        panel(random.numbers<T>(depth * kPanelWidth)),
        out(random.numbers<T>(rows * out_stride)) {}

  /// `count` rows from `first` on.
  std::vector<T> run(const Kernels<T>& kernels, std::int64_t first, std::int64_t count, bool add) const {
    std::vector<T> result(out.begin() + first * out_stride, out.begin() + (first + count) * out_stride);
    kernels.product(a.data() + first * row_stride, row_stride, depth_stride, count, panel.data(), depth, result.data(),
                    out_stride, add);
    return result;
  }

  ::testing::AssertionResult check(const Kernels<T>& kernels, bool add) const {
    std::vector<double> expected(out.begin(), out.end()), size;
    for (const double number : expected) size.push_back(std::abs(number));
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < kPanelWidth; ++c) {
        const auto at = static_cast<std::size_t>(r * out_stride + c);
        if (!add) expected[at] = size[at] = 0;
        for (std::int64_t k = 0; k < depth; ++k) {
          const double term = double(a[static_cast<std::size_t>(r * row_stride + k * depth_stride)]) *
                              double(panel[static_cast<std::size_t>(k * kPanelWidth + c)]);
          expected[at] += term;
          size[at] += std::abs(term);
        }
      }
    return all_near(run(kernels, 0, rows, add), expected, size);
  }
};

TEST_P(KernelsOf, ProductsAreSumsOverTheDepth) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    for (std::int64_t rows = 1; rows <= kMostRows; ++rows)
      for (const std::int64_t depth : kDepths)
        for (const bool turned : {false, true})
          for (const bool add : {false, true})
            EXPECT_TRUE(Product<T>(random, rows, depth, turned).check(kernels, add))
                << rows << " rows, depth " << depth << (turned ? ", turned" : "") << (add ? ", added" : "");
  });
}

TEST_P(KernelsOf, ARowOfAProductIsTheSameInAnyCompany) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    for (const bool add : {false, true})
      for (const bool turned : {false, true}) {
        const Product<T> product(random, kMostRows, 77, turned);
        const auto together = product.run(kernels, 0, kMostRows, add);
        for (std::int64_t first = 0; first < kMostRows; ++first)
          for (std::int64_t count = 1; first + count <= kMostRows; ++count) {
            const auto some = product.run(kernels, first, count, add);
            EXPECT_TRUE(std::equal(some.begin(), some.end(), together.begin() + first * product.out_stride))
                << count << " rows from " << first << (turned ? ", turned" : "") << (add ? ", added" : "");
          }
      }
  });
}

/// The same with rounded factors, kept as float32 beside their bits.
struct RoundedProduct {
  std::int64_t rows, pairs, stride;
  std::vector<BFloat16Bits> a, panel;  // [rows,stride], [pairs,kPanelWidth,2]
  std::vector<float> out;              // [rows,kPanelWidth]

  RoundedProduct(Random& random, std::int64_t rows, std::int64_t pairs)
      : rows(rows),
        pairs(pairs),
        stride(2 * pairs + 4),
        a(rounded(random.numbers<float>(rows * stride))),
        panel(rounded(random.numbers<float>(pairs * kPanelWidth * 2))),
        out(random.numbers<float>(rows * kPanelWidth)) {}

  static std::vector<BFloat16Bits> rounded(const std::vector<float>& numbers) {
    std::vector<BFloat16Bits> bits;
    for (const float number : numbers) bits.push_back(c10::BFloat16(number).x);
    return bits;
  }

  std::vector<float> run(const Kernels<float>& kernels, std::int64_t first, std::int64_t count, bool add) const {
    std::vector<float> result(out.begin() + first * kPanelWidth, out.begin() + (first + count) * kPanelWidth);
    kernels.product_bf16(a.data() + first * stride, stride, count, panel.data(), pairs, result.data(), kPanelWidth,
                         add);
    return result;
  }

  ::testing::AssertionResult check(const Kernels<float>& kernels, bool add) const {
    std::vector<double> expected(out.begin(), out.end()), size;
    for (const double number : expected) size.push_back(std::abs(number));
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < kPanelWidth; ++c) {
        const auto at = static_cast<std::size_t>(r * kPanelWidth + c);
        if (!add) expected[at] = size[at] = 0;
        for (std::int64_t k = 0; k < 2 * pairs; ++k) {
          const double term = double(from_bf16(a[static_cast<std::size_t>(r * stride + k)])) *
                              double(from_bf16(panel[static_cast<std::size_t>((k / 2 * kPanelWidth + c) * 2 + k % 2)]));
          expected[at] += term;
          size[at] += std::abs(term);
        }
      }
    return all_near(run(kernels, 0, rows, add), expected, size);
  }
};

TEST_P(KernelsOf, RoundedProductsAreSumsOfTheRoundedFactors) {
  for (std::int64_t rows = 1; rows <= kMostRows; ++rows)
    for (const std::int64_t pairs : {1, 2, 3, 8, 17, 65, 150})
      for (const bool add : {false, true})
        EXPECT_TRUE(RoundedProduct(random, rows, pairs).check(floats(), add))
            << rows << " rows, " << pairs << " pairs" << (add ? ", added" : "");
}

TEST_P(KernelsOf, ARowOfARoundedProductIsTheSameInAnyCompany) {
  for (const bool add : {false, true}) {
    const RoundedProduct product(random, kMostRows, 39);
    const auto together = product.run(floats(), 0, kMostRows, add);
    for (std::int64_t first = 0; first < kMostRows; ++first)
      for (std::int64_t count = 1; first + count <= kMostRows; ++count) {
        const auto some = product.run(floats(), first, count, add);
        EXPECT_TRUE(std::equal(some.begin(), some.end(), together.begin() + first * kPanelWidth))
            << count << " rows from " << first << (add ? ", added" : "");
      }
  }
}

TEST_P(KernelsOf, RoundsToTheNearestBFloat16AndTiesToEven) {
  // 1 + 2^-8 lies between 1 and the next bfloat16, 1 + 2^-7; 1 + 3 * 2^-8 between that and the one after it.
  const float ulp = std::ldexp(1.0f, -7);
  const std::vector<float> special = {1 + ulp / 2,
                                      1 + 3 * ulp / 2,
                                      -1 - ulp / 2,
                                      std::nextafter(1 + ulp / 2, 2.0f),
                                      std::nextafter(1 + 3 * ulp / 2, 0.0f),
                                      0.0f,
                                      -0.0f,
                                      kInfinity,
                                      -kInfinity,
                                      std::numeric_limits<float>::max(),
                                      std::numeric_limits<float>::lowest()};
  EXPECT_EQ(from_bf16(RoundedProduct::rounded({special[0]})[0]), 1);
  EXPECT_EQ(from_bf16(RoundedProduct::rounded({special[1]})[0]), 1 + 2 * ulp);
  for (const std::int64_t count : kCounts) {
    std::vector<float> numbers = random.numbers<float>(count, 100);
    for (std::size_t i = 0; i < numbers.size(); i += 2) numbers[i] = special[i / 2 % special.size()];
    std::vector<BFloat16Bits> bits(numbers.size());
    floats().to_bf16(numbers.data(), count, bits.data());
    EXPECT_EQ(bits, RoundedProduct::rounded(numbers)) << count << " numbers";

    const std::vector<float> others = random.numbers<float>(count);
    std::vector<float> products;
    for (std::size_t i = 0; i < numbers.size(); ++i) products.push_back(numbers[i] * others[i]);
    std::vector<BFloat16Bits> product_bits(numbers.size());
    floats().multiply_to_bf16(numbers.data(), others.data(), count, product_bits.data());
    EXPECT_EQ(product_bits, RoundedProduct::rounded(products)) << count << " numbers";
  }
}

TEST_P(KernelsOf, RoundingKeepsNumbersBelowTheNormalOnesOrMakesThemZero) {
  const std::vector<float> tiny(33, std::numeric_limits<float>::min() / 4);
  std::vector<BFloat16Bits> bits(33);
  floats().to_bf16(tiny.data(), 33, bits.data());
  for (const BFloat16Bits each : bits) EXPECT_TRUE(from_bf16(each) == tiny[0] || each == 0);
}

TEST_P(KernelsOf, RoundingKeepsNan) {
  for (const std::uint32_t payload : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu, 0xff800001u}) {
    float nan;
    std::memcpy(&nan, &payload, sizeof nan);
    const std::vector<float> numbers(33, nan), ones(33, 1.0f);
    std::vector<BFloat16Bits> bits(33), products(33);
    floats().to_bf16(numbers.data(), 33, bits.data());
    floats().multiply_to_bf16(numbers.data(), ones.data(), 33, products.data());
    for (std::size_t i = 0; i < bits.size(); ++i)
      EXPECT_TRUE(std::isnan(from_bf16(bits[i])) && std::isnan(from_bf16(products[i]))) << payload << ", number " << i;
  }
}

TEST_P(KernelsOf, DoublesAreNotRounded) {
  const Kernels<double>& doubles = kernels_for<double>(GetParam());
  EXPECT_EQ(doubles.product_bf16, nullptr);
  EXPECT_EQ(doubles.to_bf16, nullptr);
  EXPECT_EQ(doubles.multiply_to_bf16, nullptr);
}

TEST_P(KernelsOf, RowsAreMultipliedScaledAndAdded) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    const T factor = T(0.7);
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(count);
      const std::vector<T> x = random.numbers<T>(count), y = random.numbers<T>(count);
      std::vector<double> scaled, sums, products;
      double dot = 0, terms = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        scaled.push_back(double(factor) * double(x[i]));
        sums.push_back(double(y[i]) + scaled[i]);
        products.push_back(double(x[i]) * double(y[i]));
        dot += products[i];
        terms += std::abs(products[i]);
      }
      EXPECT_TRUE(all_near(std::vector<T>{kernels.dot(x.data(), y.data(), count)}, {dot}, {terms}));
      std::vector<T> out(x.size());
      kernels.scale(x.data(), factor, count, out.data());
      EXPECT_TRUE(all_near(out, scaled));
      out = y;
      kernels.add_scaled(x.data(), factor, count, out.data());
      EXPECT_TRUE(all_near(out, sums));
      kernels.multiply(x.data(), y.data(), count, out.data());
      EXPECT_TRUE(all_near(out, products));
      out = x;
      kernels.multiply(out.data(), y.data(), count, out.data());
      EXPECT_TRUE(all_near(out, products));
    }
  });
}

double activation(Activation kind, double x) {
  switch (kind) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu2:
      return x * std::max(x, 0.0);
  }
  return 0;
}

constexpr Activation kActivations[] = {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu,
                                       Activation::relu2};

TEST_P(KernelsOf, ActivationsFollowTheirFormulasAndSlopesTheirDifferences) {
  constexpr double kStep = 1e-5, kSlopeTolerance = 2e-6;  // the differences themselves are off by about 1e-9
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    for (const Activation kind : kActivations)
      for (const std::int64_t count : kCounts) {
        SCOPED_TRACE(::testing::Message() << "activation " << static_cast<int>(kind) << ", " << count << " numbers");
        const std::vector<T> x = random.numbers<T>(count, 3);
        std::vector<T> value(x.size()), slope(x.size()), alone(x.size());
        kernels.activate(kind, x.data(), count, value.data(), slope.data());
        kernels.activate(kind, x.data(), count, alone.data(), nullptr);
        EXPECT_EQ(alone, value);
        std::vector<double> expected;
        for (std::size_t i = 0; i < x.size(); ++i) {
          expected.push_back(activation(kind, x[i]));
          const double difference = activation(kind, x[i] + kStep) - activation(kind, x[i] - kStep);
          EXPECT_NEAR(slope[i], difference / (2 * kStep), kSlopeTolerance) << "at " << x[i];
        }
        EXPECT_TRUE(all_near(value, expected));
      }
  });
}

// DeepLIFT divides differences of activations, and gradients add up what is left of slopes.
TEST_P(KernelsOf, SmoothActivationsKeepTheDigitsOfTheirTails) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    const std::vector<T> x = {T(-4), T(-3.5), T(-3), T(-2.5), T(-2), T(-1)};
    for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
      std::vector<T> value(x.size());
      kernels.activate(kind, x.data(), std::ssize(x), value.data(), nullptr);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = activation(kind, x[i]);
        EXPECT_NEAR(value[i], expected, 4e-6 * std::abs(expected)) << static_cast<int>(kind) << " at " << x[i];
      }
    }
  });
}

TEST_P(KernelsOf, ActivationsOfLargeNumbersAreFinite) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    const std::vector<T> x = {-1e4, -300, -100, -40, 40, 100, 300, 1e4};
    for (const Activation kind : kActivations) {
      std::vector<T> value(x.size()), slope(x.size());
      kernels.activate(kind, x.data(), std::ssize(x), value.data(), slope.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        // Far from zero each of them is relu, or its square.
        const T relu = std::max(x[i], T(0));
        const bool square = kind == Activation::relu2;
        EXPECT_NEAR(value[i], square ? relu * relu : relu, 1e-6) << static_cast<int>(kind) << " at " << x[i];
        EXPECT_NEAR(slope[i], square ? 2 * relu : T(x[i] > 0), 1e-6) << static_cast<int>(kind) << " at " << x[i];
      }
    }
  });
}

TEST_P(KernelsOf, ActivationsKeepNan) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    const std::vector<T> x(19, std::numeric_limits<T>::quiet_NaN());
    for (const Activation kind : kActivations) {
      std::vector<T> value(x.size());
      kernels.activate(kind, x.data(), std::ssize(x), value.data(), nullptr);
      for (const T number : value) EXPECT_TRUE(std::isnan(number)) << static_cast<int>(kind);
    }
  });
}

std::vector<double> softmax(const std::vector<double>& scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> result;
  double sum = 0;
  for (const double score : scores) sum += result.emplace_back(std::exp(score - largest));
  for (double& number : result) number /= sum;
  return result;
}

TEST_P(KernelsOf, SoftmaxAndItsBackwardFollowTheirFormulas) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    const T scale = T(0.37);
    for (const std::int64_t count : kCounts) {
      SCOPED_TRACE(count);
      const std::vector<T> x = random.numbers<T>(count, 5), d = random.numbers<T>(count);
      std::vector<double> scores;
      for (const T number : x) scores.push_back(double(scale) * double(number));
      std::vector<T> p = x;
      kernels.softmax(p.data(), scale, count);
      const std::vector<double> expected = softmax(scores);
      EXPECT_TRUE(all_near(p, expected));

      double along = 0;
      for (std::size_t i = 0; i < p.size(); ++i) along += double(p[i]) * double(d[i]);
      std::vector<double> turned;
      for (std::size_t i = 0; i < p.size(); ++i)
        turned.push_back(double(scale) * double(p[i]) * (double(d[i]) - along));
      std::vector<T> out(x.size()), in_place = d;
      kernels.softmax_pull_back(p.data(), d.data(), scale, count, out.data());
      EXPECT_TRUE(all_near(out, turned));
      kernels.softmax_pull_back(p.data(), in_place.data(), scale, count, in_place.data());
      EXPECT_EQ(in_place, out);
    }
  });
}

TEST_P(KernelsOf, SoftmaxOfFarScoresIsFiniteAndKeepsNan) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    std::vector<T> far = {-3e4, 2e4, 1e4, 2e4, -2e4};
    kernels.softmax(far.data(), T(1), 5);
    EXPECT_TRUE(all_near(far, {0, 0.5, 0, 0.5, 0}));
    for (std::size_t place : {0, 7, 18}) {
      std::vector<T> damaged = random.numbers<T>(19);
      damaged[place] = std::numeric_limits<T>::quiet_NaN();
      kernels.softmax(damaged.data(), T(1), 19);
      for (const T number : damaged) EXPECT_TRUE(std::isnan(number)) << "NaN at " << place;
    }
  });
}

TEST_P(KernelsOf, PairsTurnByTheirAnglesAndBack) {
  in_both_precisions([&]<class T>(const Kernels<T>& kernels) {
    for (const std::int64_t half : kCounts) {
      SCOPED_TRACE(half);
      const std::vector<T> x = random.numbers<T>(2 * half), angles = random.numbers<T>(half);
      const T amplitude = T(1.2);
      std::vector<T> cosine, sine;
      for (const T angle : angles) {
        cosine.push_back(amplitude * std::cos(angle));
        sine.push_back(amplitude * std::sin(angle));
      }
      std::vector<double> forth(x.size()), back(x.size());
      for (std::size_t i = 0; i < cosine.size(); ++i) {
        const double a = x[i], b = x[i + cosine.size()], c = cosine[i], s = sine[i];
        forth[i] = a * c - b * s;
        forth[i + cosine.size()] = a * s + b * c;
        back[i] = a * c + b * s;
        back[i + cosine.size()] = b * c - a * s;
      }
      std::vector<T> out(x.size()), in_place = x;
      kernels.rotate(x.data(), cosine.data(), sine.data(), half, out.data());
      EXPECT_TRUE(all_near(out, forth));
      kernels.rotate(in_place.data(), cosine.data(), sine.data(), half, in_place.data());
      EXPECT_EQ(in_place, out);
      kernels.rotate_back(x.data(), cosine.data(), sine.data(), half, out.data());
      EXPECT_TRUE(all_near(out, back));
      in_place = x;
      kernels.rotate_back(in_place.data(), cosine.data(), sine.data(), half, in_place.data());
      EXPECT_EQ(in_place, out);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, KernelsOf, ::testing::ValuesIn(available_instruction_sets()),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace whence::transformer
