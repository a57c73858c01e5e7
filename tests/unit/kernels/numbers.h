#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels.h"

namespace whence::transformer {

/// Normal numbers, other ones at every call of one test.
class Random {
 public:
  template <class T>
  std::vector<T> numbers(std::int64_t count, double scale = 1) {
    std::vector<T> result(static_cast<std::size_t>(count));
    for (T& number : result) number = static_cast<T>(scale * normal_(engine_));
    return result;
  }

 private:
  std::mt19937_64 engine_{17};
  std::normal_distribution<double> normal_;
};

/// What the kernels may be off by, as a share of the sum of the absolute terms.
template <class T>
constexpr double kTolerance = sizeof(T) == sizeof(float) ? 1e-6 : 1e-13;

/// |got - expected| <= tolerance * size for every number.
template <class T>
::testing::AssertionResult all_near(const std::vector<T>& got, const std::vector<double>& expected,
                                    const std::vector<double>& size) {
  if (got.size() != expected.size()) return ::testing::AssertionFailure() << "another count of numbers";
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - expected[i]) <= kTolerance<T> * size[i]))
      return ::testing::AssertionFailure() << "number " << i << ": got " << got[i] << ", expected " << expected[i]
                                           << ", off by " << std::abs(got[i] - expected[i]) / size[i];
  return ::testing::AssertionSuccess();
}
/// The same for numbers around 1.
template <class T>
::testing::AssertionResult all_near(const std::vector<T>& got, const std::vector<double>& expected) {
  std::vector<double> size;
  for (const double number : expected) size.push_back(std::max(1.0, std::abs(number)));
  return all_near(got, expected, size);
}

inline float from_bf16(BFloat16Bits bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float number;
  std::memcpy(&number, &wide, sizeof number);
  return number;
}

}  // namespace whence::transformer
