#pragma once

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/fake_model.h"
#include "support/least_budget.h"
#include "support/plugins.h"
#include "support/reductions.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/problem.h"

namespace whence::testing {

/// Three texts of different length without tokens that the baseline keeps; 13 steps in all.
class ProblemTest : public ::testing::Test {
 protected:
  FakeModel model{ModelKind::decoder_only}, alone{ModelKind::decoder_only, /*shares_prefixes=*/false},
      translator{ModelKind::encoder_decoder};

  Problem problem(const Model& model, Problem::Options options = {}) {
    return Problem(model, *score, texts(model), options);
  }
  Problem problem(const HiddenReduction& reduction, const Model* other = nullptr) {
    Problem::Options options;
    options.hidden_reduction = &reduction;
    return problem(other ? *other : model, options);
  }

  static std::vector<Sequence> texts(const Model& model) {
    const bool source = model.info().kind == ModelKind::encoder_decoder;
    std::vector<Sequence> texts{
        fake_sequence({3, 7, 2, 9, 4, 6, 8, 11}, {2, 8}, source ? TokenIds{2, 11, 6} : TokenIds{}),
        fake_sequence({5, 3, 8, 10}, {1, 4}, source ? TokenIds{4, 3, 8, 5} : TokenIds{}),
        fake_sequence({6, 9, 2, 4, 10, 3}, {2, 6}, source ? TokenIds{7} : TokenIds{})};
    for (std::size_t i = 0; i < texts.size(); ++i) texts[i].id = std::to_string(i);
    return texts;
  }

  /// Rows that the passes over one text compute, and steps that read them.
  static std::int64_t rows(const Sequence& text) { return text.steps.end - 1; }
  template <class Count>
  static std::int64_t over_texts(const Problem& problem, const Count& count) {
    std::int64_t sum = 0;
    for (const Sequence& text : problem.sequences()) sum += count(text);
    return sum;
  }
  /// Sum over the steps of a text of the rows that each reads from row `first` on.
  static std::int64_t read(const Sequence& text, std::int64_t first = 0) {
    std::int64_t sum = 0;
    for (std::int64_t t = text.steps.start; t < text.steps.end; ++t) sum += std::max<std::int64_t>(0, t - first);
    return sum;
  }

  std::unique_ptr<StepFunction> score = built_plugins().make_step_function(choice("probability"));
};

}  // namespace whence::testing
