#include "instruction_set.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Ends the process with what instruction_set() makes of the variable.
[[noreturn]] void report_choice(const char* wanted) {
  ::setenv("WHENCE_KERNELS", wanted, 1);
  try {
    std::fputs(name_of(instruction_set()).c_str(), stderr);
    std::_Exit(0);
  } catch (const ConfigError& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(static_cast<int>(error.status()));
  }
}

/// The choice is made once in a process, so each of these asks a fresh one.
class InstructionSets : public ::testing::Test {
 protected:
  InstructionSets() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(InstructionSets, GrowFromThePortableOne) {
  const auto available = available_instruction_sets();
  ASSERT_FALSE(available.empty());
  EXPECT_EQ(available.front(), InstructionSet::portable);
  EXPECT_TRUE(std::is_sorted(available.begin(), available.end()));
}

TEST_F(InstructionSets, TheLargestIsTakenUnlessTheVariableNamesOne) {
  const auto available = available_instruction_sets();
  EXPECT_EXIT(report_choice(""), ::testing::ExitedWithCode(0), "^" + name_of(available.back()) + "$");
  for (const InstructionSet set : available)
    EXPECT_EXIT(report_choice(name_of(set).c_str()), ::testing::ExitedWithCode(0), "^" + name_of(set) + "$");
}

TEST_F(InstructionSets, AVariableThatNamesNoneIsAnError) {
  std::string names;
  for (const InstructionSet set : available_instruction_sets()) names += (names.empty() ? "" : ", ") + name_of(set);
  EXPECT_EXIT(
      report_choice("sse9"), ::testing::ExitedWithCode(static_cast<int>(ExitStatus::usage)),
      "^WHENCE_KERNELS: expected an instruction set that this processor has \\(" + names + "\\), found 'sse9'$");
}

}  // namespace
}  // namespace whence::transformer
