#include "whence/reduce.h"

#include <ATen/ops/zeros.h>

#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::kNan;
using testing::near;
using testing::numbers;
using testing::text_of_error;

const float kInfinity = std::numeric_limits<float>::infinity();

TEST(Reduce, ComputesEachFunction) {
  const Tensor values = numbers({2, 3}, {1, -4, 2, 0.5, 3, -1});
  EXPECT_TRUE(near(reduce(values, 1, "mean"), numbers({2}, {-1.0f / 3, 2.5f / 3})));
  EXPECT_TRUE(near(reduce(values, 1, "sum"), numbers({2}, {-1, 2.5})));
  EXPECT_TRUE(near(reduce(values, 1, "prod"), numbers({2}, {-8, -1.5})));
  EXPECT_TRUE(near(reduce(values, 1, "max"), numbers({2}, {2, 3})));
  EXPECT_TRUE(near(reduce(values, 1, "min"), numbers({2}, {-4, -1})));
  EXPECT_TRUE(near(reduce(values, 1, "absmax"), numbers({2}, {-4, 3})));
  EXPECT_TRUE(near(reduce(values, 1, "vnorm"), numbers({2}, {std::sqrt(21.0f), std::sqrt(10.25f)})));
  EXPECT_TRUE(near(reduce(values, 1, "vnorm", 1), numbers({2}, {7, 4.5})));
}

TEST(Reduce, ReducesAnyDim) {
  const Tensor values = numbers({2, 3}, {1, -4, 2, 0.5, 3, -1});
  EXPECT_TRUE(near(reduce(values, 0, "absmax"), numbers({3}, {1, -4, 2})));
  EXPECT_TRUE(near(reduce(values, -2, "sum"), numbers({3}, {1.5, -1, 1})));
}

TEST(Reduce, NanSpoilsEverythingButAbsmax) {
  const Tensor values = numbers({1, 3}, {1, kNan, -2});
  for (const std::string& name : reduction_names())
    EXPECT_TRUE(near(reduce(values, 1, name), numbers({1}, {name == "absmax" ? -2 : kNan}))) << name;
}

TEST(Reduce, AbsmaxIsNanOnlyWhereThereIsNothingElse) {
  EXPECT_TRUE(near(reduce(numbers({2, 2}, {kNan, 0, kNan, kNan}), 1, "absmax"), numbers({2}, {0, kNan})));
}

TEST(Reduce, AbsmaxKnowsInfinity) {
  EXPECT_TRUE(near(reduce(numbers({1, 3}, {kNan, 5, -kInfinity}), 1, "absmax"), numbers({1}, {-kInfinity})));
}

TEST(Reduce, MakesIntegersFloat) {
  EXPECT_TRUE(near(reduce(at::tensor(std::vector<std::int64_t>{1, 2}), 0, "mean"), numbers({}, {1.5})));
}

TEST(Reduce, NamesTheKnownFunctions) {
  EXPECT_EQ(text_of_error([] { reduce(at::zeros({2}), 0, "meam"); }),
            "unknown reduction 'meam'; did you mean 'mean'? known: absmax, max, mean, min, prod, sum, vnorm");
}

TEST(NormalizeColumns, DividesByTheSumOverBothSides) {
  Tensor source = numbers({2, 2}, {1, 0, -1, 0});
  Tensor target = numbers({2, 2}, {2, 0, kNan, kNan});
  normalize_columns(source, target);
  EXPECT_TRUE(near(source, numbers({2, 2}, {0.25, 0, -0.25, 0})));
  EXPECT_TRUE(near(target, numbers({2, 2}, {0.5, 0, kNan, kNan})));
}

TEST(NormalizeColumns, WorksForEachRemainingEntryAndWithOneSide) {
  Tensor source;
  Tensor target = numbers({2, 1, 2}, {1, 3, 3, -1});
  normalize_columns(source, target);
  EXPECT_FALSE(source.defined());
  EXPECT_TRUE(near(target, numbers({2, 1, 2}, {0.25, 0.75, 0.75, -0.25})));
}

TEST(RescaleByMaximum, DividesByTheLargestOfBothSides) {
  Tensor source = numbers({1, 2}, {1, -4});
  Tensor target = numbers({1, 2}, {2, kNan});
  rescale_by_maximum(source, target);
  EXPECT_TRUE(near(source, numbers({1, 2}, {0.25, -1})));
  EXPECT_TRUE(near(target, numbers({1, 2}, {0.5, kNan})));
}

TEST(RescaleByMaximum, LeavesZerosAndNanAlone) {
  Tensor source;
  Tensor target = numbers({1, 3}, {0, kNan, 0});
  rescale_by_maximum(source, target);
  EXPECT_TRUE(near(target, numbers({1, 3}, {0, kNan, 0})));
}

}  // namespace
}  // namespace whence
