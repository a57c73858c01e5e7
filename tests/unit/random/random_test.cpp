#include "whence/random.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace whence {
namespace {

constexpr std::int64_t kMany = 100'000;

double number(const Tensor& tensor) { return tensor.item<double>(); }

// The vectors that the authors of Philox publish for philox4x32-10: counter, key, result.
TEST(Philox, GivesTheKnownVectors) {
  struct Vector {
    std::uint64_t counter_low, counter_high, key;
    std::array<std::uint32_t, 4> expected;
  };
  const std::uint64_t ones = ~std::uint64_t{0};
  for (const Vector& vector : {Vector{0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                               Vector{ones, ones, ones, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                               Vector{0x85a308d3243f6a88,
                                      0x0370734413198a2e,
                                      0x299f31d0a4093822,
                                      {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}) {
    at::Philox4_32 engine(vector.key, vector.counter_high);
    engine.set_offset(vector.counter_low);
    for (const std::uint32_t word : vector.expected) EXPECT_EQ(engine(), word);
  }
}

TEST(RandomStream, IsTheSameEverywhereForOneKey) {
  // Stored numbers: results are reproduced on other machines and by later versions.
  RandomStream random({.seed = 7, .sequence = "0", .purpose = "gradient_shap", .sample = 3});
  const Tensor drawn = random.uniform({3});
  EXPECT_DOUBLE_EQ(number(drawn[0]), 0.31972826310359348);
  EXPECT_DOUBLE_EQ(number(drawn[1]), 0.66608555944876258);
  EXPECT_DOUBLE_EQ(number(drawn[2]), 0.010480832239713966);
}

TEST(RandomStream, DependsOnEveryPartOfItsKey) {
  const RandomKey key{.seed = 1, .sequence = "ab", .purpose = "c", .sample = 2};
  const auto first = [](const RandomKey& of) { return number(RandomStream(of).uniform({1})); };
  EXPECT_EQ(first(key), first(key));
  for (const RandomKey& other :
       {RandomKey{2, "ab", "c", 2}, RandomKey{1, "aB", "c", 2}, RandomKey{1, "ab", "d", 2}, RandomKey{1, "ab", "c", 3},
        RandomKey{1, "a", "bc", 2}, RandomKey{std::uint64_t{1} << 32, "ab", "c", 2}})
    EXPECT_NE(first(key), first(other));
}

TEST(RandomStream, BeginsAlikeWhateverIsAskedFor) {
  const RandomKey key{.seed = 5, .sequence = "text", .purpose = "noise"};
  const Tensor long_one = RandomStream(key).normal({7, 3}), short_one = RandomStream(key).normal({2, 3});
  EXPECT_TRUE(long_one.narrow(0, 0, 2).equal(short_one));
  RandomStream in_parts(key);
  in_parts.uniform({3});
  EXPECT_TRUE(in_parts.normal({6, 3}).equal(long_one.narrow(0, 1, 6)));
}

TEST(RandomStream, UniformAndNormalNumbersHaveTheirMoments) {
  RandomStream random({.seed = 11, .sequence = "0", .purpose = "moments"});
  const Tensor uniform = random.uniform({kMany}), normal = random.normal({kMany});
  // Five standard errors.
  const double error = 5 / std::sqrt(kMany);
  EXPECT_GT(number(uniform.min()), 0);
  EXPECT_LT(number(uniform.max()), 1);
  EXPECT_NEAR(number(uniform.mean()), 0.5, error * std::sqrt(1.0 / 12));
  EXPECT_NEAR(number(uniform.var()), 1.0 / 12, error * std::sqrt(1.0 / 180));
  EXPECT_NEAR(number(normal.mean()), 0, error);
  EXPECT_NEAR(number(normal.var()), 1, error * std::sqrt(2.0));
  EXPECT_NEAR(number(normal.pow(4).mean()), 3, error * std::sqrt(96.0));
  EXPECT_NEAR(number((uniform.narrow(0, 0, kMany - 1) * uniform.narrow(0, 1, kMany - 1)).mean()), 0.25, error);
}

TEST(RandomStream, ChoosesEachAsOften) {
  RandomStream random({.seed = 3, .sequence = "0", .purpose = "choice"});
  const Tensor counts = at::bincount(random.choice(5, kMany), {}, 5);
  ASSERT_EQ(counts.size(0), 5);
  const double expected = kMany / 5.0;
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(counts[i].item<double>(), expected, 5 * std::sqrt(expected * 0.8));
  EXPECT_THROW(random.choice(0, 1), std::invalid_argument);
}

TEST(RandomStream, PermutesEveryNumberOnce) {
  const auto permutation = [](std::uint64_t sample) {
    return RandomStream({.seed = 3, .sequence = "0", .purpose = "permutation", .sample = sample}).permutation(50);
  };
  EXPECT_TRUE(std::get<0>(permutation(0).sort()).equal(at::arange(50, at::kLong)));
  EXPECT_TRUE(permutation(0).equal(permutation(0)));
  EXPECT_FALSE(permutation(0).equal(permutation(1)));
}

}  // namespace
}  // namespace whence
