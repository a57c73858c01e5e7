#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "whence/error.h"

namespace whence::testing {

/// The smallest memory budget that `work` can do with, as the error under a budget of one byte says; one byte less is
/// refused with the same words.
template <class Work>
std::int64_t least_budget(const Work& work) {
  static const std::string kMend = "the least that works is ";
  const auto least = [&](std::int64_t budget) -> std::int64_t {
    try {
      work(budget);
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      EXPECT_EQ(text.find("memory: the budget of " + std::to_string(budget) + " bytes does not hold "), 0u) << text;
      const std::size_t at = text.find(kMend);
      EXPECT_NE(at, std::string::npos) << text;
      return at == std::string::npos ? 0 : std::stoll(text.substr(at + kMend.size()));
    }
    ADD_FAILURE() << "a budget of " << budget << " bytes was not refused";
    return 0;
  };
  const std::int64_t bytes = least(1);
  EXPECT_EQ(least(bytes - 1), bytes);
  return bytes;
}

}  // namespace whence::testing
