#include "coverage.h"

#include <gtest/gtest.h>

#include <map>

namespace whence::parity {
namespace {

TEST(Coverage, EveryCaseIsRunOrLacksANamedPart) {
  // A change of these numbers is a change of what is proven: with every part that arrives, some case must move.
  EXPECT_EQ(all_cases().size(), 294u);
  EXPECT_EQ(cases_to_aggregate().size(), 52u);
  std::map<std::string, int> run;
  for (const Case& one : cases_to_attribute()) ++run[one.model];
  std::map<std::string, int> expected = {{"smollm2-135m-instruct-q4_1", 5}};
  for (const char* model : {"bart", "gemma2", "gpt2", "gpt_neox", "llama", "marian", "marian_scaled", "qwen2", "t5"})
    expected[model] = 25;
  ++expected["gpt2"];
  // Two cases each of value zeroing with a source.
  for (const char* model : {"bart", "marian", "marian_scaled", "t5"}) expected[model] += 2;
  for (const char* model : {"gpt2", "t5", "llama"}) ++expected[model];  // samples of gradient_shap, and of lime
  EXPECT_EQ(run, expected);
}

TEST(Coverage, EveryMissingPartIsWantedByACase) {
  for (const Missing& part : missing_parts()) {
    bool wanted = false;
    for (const Case& one : all_cases()) {
      for (const Missing& lack : lacks(one)) wanted = wanted || (lack.what == part.what && lack.name == part.name);
      if (part.what == "step score")
        for (const std::string& name : one.step_scores()) wanted = wanted || name == part.name;
    }
    EXPECT_TRUE(wanted) << part.what << " " << part.name << " is no longer missing; take it off the list";
  }
}

}  // namespace
}  // namespace whence::parity
