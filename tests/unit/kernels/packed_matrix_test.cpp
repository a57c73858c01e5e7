// Right factors in panels, in the shapes that models have and in those that fit no panel.
#include "packed_matrix.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <stdexcept>

#include "numbers.h"
#include "parallel.h"
#include "support/text_of_error.h"
#include "tile_products.h"

namespace whence::transformer {
namespace {

/// A matrix [depth,width], the rows of its left factor [rows,depth], and their product as the packed matrix gives it.
template <class T>
struct Factors {
  std::int64_t rows, depth, width;
  std::vector<T> left, right;

  Factors(Random& random, std::int64_t rows, std::int64_t depth, std::int64_t width)
      : rows(rows),
        depth(depth),
        width(width),
        left(random.numbers<T>(rows * depth)),
        right(random.numbers<T>(depth * width)) {}

  PackedMatrix<T> by_rows(Precision precision) const {
    PackedMatrix<T> matrix(depth, width, precision);
    pack_rows(matrix);
    return matrix;
  }
  void pack_rows(PackedMatrix<T>& into) const {
    into.pack_rows([this](std::int64_t k, T* out) { std::copy_n(right.data() + k * width, width, out); });
  }
  PackedMatrix<T> by_columns(Precision precision) const {
    PackedMatrix<T> matrix(depth, width, precision);
    pack_columns(matrix);
    return matrix;
  }
  void pack_columns(PackedMatrix<T>& into) const {
    into.pack_columns([this](std::int64_t n, T* out) {
      for (std::int64_t k = 0; k < depth; ++k) out[k] = right[static_cast<std::size_t>(k * width + n)];
    });
  }

  std::vector<T> multiply(const PackedMatrix<T>& matrix) const {
    FactorRows<T> factors(rows, depth, matrix.precision());
    for (std::int64_t r = 0; r < rows; ++r) factors.put(r, 0, left.data() + r * depth, nullptr, depth);
    return product_of(factors, matrix);
  }
  std::vector<T> product_of(const FactorRows<T>& factors, const PackedMatrix<T>& matrix) const {
    std::vector<T> result(static_cast<std::size_t>(rows * width));
    factors.multiply(matrix, rows, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < rows; ++r)
        std::copy_n(block + r * kPanelWidth, columns, result.data() + r * width + column);
    });
    return result;
  }

  ::testing::AssertionResult check(const PackedMatrix<T>& matrix) const {
    const auto rounded = [&](T number) {
      return matrix.precision() == Precision::full ? double(number) : double(float(c10::BFloat16(float(number))));
    };
    std::vector<double> expected(static_cast<std::size_t>(rows * width)), size(expected.size());
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t n = 0; n < width; ++n) {
          const double term = rounded(left[static_cast<std::size_t>(r * depth + k)]) *
                              rounded(right[static_cast<std::size_t>(k * width + n)]);
          expected[static_cast<std::size_t>(r * width + n)] += term;
          size[static_cast<std::size_t>(r * width + n)] += std::abs(term);
        }
    return all_near(multiply(matrix), expected, size);
  }
};

/// Depths beyond those that are multiplied at a time in each precision are among them.
constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {{1, 1},    {1, 65},   {2, 5},     {7, 63},   {48, 64},
                                                             {65, 130}, {129, 17}, {200, 192}, {1601, 3}, {3333, 66}};
constexpr std::int64_t kRows = 11;

template <class T>
void check_shapes(Precision precision) {
  Random random;
  for (const auto& [depth, width] : kShapes) {
    SCOPED_TRACE(::testing::Message() << depth << " x " << width);
    const Factors<T> factors(random, kRows, depth, width);
    const PackedMatrix<T> by_rows = factors.by_rows(precision), by_columns = factors.by_columns(precision);
    EXPECT_EQ(by_rows.depth(), depth);
    EXPECT_EQ(by_rows.width(), width);
    EXPECT_EQ(by_rows.panels(), (width + kPanelWidth - 1) / kPanelWidth);
    EXPECT_TRUE(factors.check(by_rows));
    EXPECT_EQ(factors.multiply(by_columns), factors.multiply(by_rows));
  }
}

TEST(PackedMatrix, GivesTheProductInFullPrecision) {
  check_shapes<float>(Precision::full);
  check_shapes<double>(Precision::full);
}

TEST(PackedMatrix, GivesTheProductOfRoundedFactors) { check_shapes<float>(Precision::bfloat16); }

TEST(PackedMatrix, TakesTheMemoryOfItsPanels) {
  EXPECT_EQ(PackedMatrix<float>().bytes(), 0);
  EXPECT_FALSE(PackedMatrix<float>().defined());
  EXPECT_EQ(PackedMatrix<float>(7, 65, Precision::full).bytes(), 7 * 128 * 4);
  EXPECT_EQ(PackedMatrix<float>(7, 65, Precision::bfloat16).bytes(), 8 * 128 * 2);
  EXPECT_EQ(PackedMatrix<double>(7, 64, Precision::full).bytes(), 7 * 64 * 8);
}

TEST(PackedMatrix, MayBeFilledAgain) {
  Random random;
  for (const Precision precision : {Precision::full, Precision::bfloat16}) {
    const Factors<float> first(random, kRows, 67, 100), second(random, kRows, 67, 100);
    PackedMatrix<float> matrix = first.by_rows(precision);
    second.pack_columns(matrix);
    EXPECT_TRUE(second.check(matrix));
    first.pack_rows(matrix);
    EXPECT_TRUE(first.check(matrix));
  }
}

TEST(PackedMatrix, RefusesToRoundDoubles) {
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>([] { PackedMatrix<double>(4, 4, Precision::bfloat16); }),
            "products of doubles are not rounded to bfloat16");
}

TEST(FactorRows, ArePutTogetherFromParts) {
  Random random;
  for (const Precision precision : {Precision::full, Precision::bfloat16}) {
    const Factors<float> factors(random, kRows, 71, 40);
    const PackedMatrix<float> matrix = factors.by_rows(precision);
    FactorRows<float> parts(kRows, 71, precision);
    ASSERT_TRUE(parts.defined());
    for (std::int64_t r = 0; r < kRows; ++r) {
      const float* row = factors.left.data() + r * 71;
      const std::vector<float> halves(71, 0.5f), twice = [&] {
        std::vector<float> result(row, row + 71);
        for (float& number : result) number *= 2;
        return result;
      }();
      parts.put(r, 40, row + 40, nullptr, 31);
      parts.put(r, 0, twice.data(), halves.data(), 40);
    }
    EXPECT_EQ(factors.product_of(parts, matrix), factors.multiply(matrix));
  }
}

TEST(RunTasks, RunsEachOnceAndSaysWhichWorkerItIs) {
  for (const std::int64_t count : {0, 1, 2, 7, 100}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    std::atomic<bool> known{true};
    const std::int64_t workers = worker_count();
    run_tasks(count, [&](std::int64_t task, std::int64_t worker) {
      ++runs[static_cast<std::size_t>(task)];
      if (worker < 0 || worker >= workers) known = false;
    });
    EXPECT_TRUE(known);
    for (const auto& times : runs) EXPECT_EQ(times, 1);
  }
}

TEST(RunTasks, ThrowsWhatATaskThrows) {
  EXPECT_EQ(testing::text_of_error<std::runtime_error>([] {
              run_tasks(9, [](std::int64_t task, std::int64_t) {
                if (task == 5) throw std::runtime_error("task 5 failed");
              });
            }),
            "task 5 failed");
}

}  // namespace
}  // namespace whence::transformer
