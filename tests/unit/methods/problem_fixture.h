#pragma once

#include <gtest/gtest.h>

#include "support/fake_model.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/problem.h"

namespace whence::testing {

/// Two sequences of different length, so that rows and steps are padded.
class MethodTest : public ::testing::Test {
 protected:
  Problem problem(const std::string& score = "probability", bool with_source = false, bool attribute_target = true,
                  const HiddenReduction* hidden_reduction = nullptr) {
    score_ = built_plugins().make_step_function(choice(score));
    std::vector<Sequence> sequences = {fake_sequence({3, 7, 2, 9, 4, 6}, {3, 6}), fake_sequence({5, 1, 8, 10}, {2, 4})};
    if (with_source) {
      sequences[0] = fake_sequence({3, 7, 2, 9, 4, 6}, {1, 6}, {2, 11, 6});
      sequences[1] = fake_sequence({5, 1, 8, 10}, {1, 4}, {4, 3, 8, 5});
    }
    sequences[1].id = "1";
    Problem::Options options;
    options.attribute_target = attribute_target;
    options.hidden_reduction = hidden_reduction;
    return Problem(with_source ? translator_ : decoder_, *score_, std::move(sequences), options);
  }

  static Attribution attribute(const Problem& problem, const std::string& method, Value::Map params = {}) {
    return built_plugins().make_method(choice(method, std::move(params)))->attribute(problem);
  }

 private:
  FakeModel decoder_;
  FakeModel translator_{ModelKind::encoder_decoder};
  std::unique_ptr<StepFunction> score_;
};

}  // namespace whence::testing
