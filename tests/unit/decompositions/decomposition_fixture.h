#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "architecture_cases.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/problem.h"

namespace whence::testing {

/// Two texts of different length on a stored checkpoint, the last tokens of each explained.
class OnCheckpoint {
 public:
  explicit OnCheckpoint(const std::string& architecture, const std::string& score = "logit", Span steps = {5, 8})
      : model_(transformer::load_model(transformer::architecture_cases() / architecture)),
        score_(built_plugins().make_step_function(choice(score))),
        problem_(*model_, *score_, sequences(model_->info().kind == ModelKind::encoder_decoder, steps), {}) {}

  const Model& model() const { return *model_; }
  const Problem& problem() const { return problem_; }
  std::int64_t layers() const { return model_->info().layers; }
  bool has_source() const { return problem_.length(Side::source) > 0; }

  Attribution attribute(const std::string& method, Value::Map params = {}) const {
    return built_plugins().make_method(choice(method, std::move(params)))->attribute(problem_);
  }

  /// Rows of a text that are run, and tokens of its source.
  std::int64_t rows(std::int64_t b) const { return problem_.sequences()[static_cast<std::size_t>(b)].steps.end - 1; }
  std::int64_t source(std::int64_t b) const {
    return static_cast<std::int64_t>(problem_.sequences()[static_cast<std::size_t>(b)].source.size());
  }
  std::int64_t steps(std::int64_t b) const { return problem_.sequences()[static_cast<std::size_t>(b)].steps.size(); }
  std::int64_t position(std::int64_t b, std::int64_t t) const {
    return problem_.predicting_positions()[b][t].item<std::int64_t>();
  }

  /// Blocks of a text, decoder or encoder, ascending.
  std::vector<BlockParts> blocks(std::int64_t b, Side side = Side::target) const {
    std::vector<BlockParts> result;
    problem_.decompose("test", false, [&](const BlockParts& block) {
      if (block.sequence == b && block.side == side) result.push_back(block);
    });
    return result;
  }

  /// What a method gives a step, source tokens before target tokens: [S+rows,...].
  Tensor column(const Attribution& attribution, std::int64_t b, std::int64_t t) const {
    const Tensor target = attribution.target[b].narrow(0, 0, rows(b)).select(1, t);
    if (!attribution.source.defined()) return target;
    return at::cat({attribution.source[b].narrow(0, 0, source(b)).select(1, t), target});
  }

  /// The product of how all attentions mix the rows of source and target side by side, [S+rows,S+rows]: `own` gives the
  /// mixture of a text's own rows, `cross` that of the source and what is kept of each row.
  template <class Own, class Cross>
  Tensor product(std::int64_t b, const Own& own, const Cross& cross) const {
    const std::int64_t n = rows(b), s = source(b);
    Tensor result = at::eye(s + n);
    const auto multiply = [&](const Tensor& mixture, std::int64_t row, std::int64_t column, Tensor whole) {
      whole.narrow(0, row, mixture.size(0)).narrow(1, column, mixture.size(1)).copy_(mixture);
      result = at::matmul(whole, result);
    };
    if (s > 0)
      for (const BlockParts& block : blocks(b, Side::source)) multiply(own(block), 0, 0, at::eye(s + n));
    for (const BlockParts& block : blocks(b)) {
      multiply(own(block), s, s, at::eye(s + n));
      if (!block.cross.defined()) continue;
      const auto [kept, from] = cross(block);
      Tensor whole = at::eye(s + n);
      whole.narrow(0, s, n).narrow(1, s, n).copy_(at::diag_embed(kept));
      multiply(from, s, 0, whole);
    }
    return result;
  }

  /// That a method gives every step the row of the matrices.
  void expect_rows(const Attribution& attribution, const std::vector<Tensor>& matrices, double tolerance = 1e-5) const {
    for (std::int64_t b = 0; b < problem_.batch_size(); ++b)
      for (std::int64_t t = 0; t < steps(b); ++t)
        EXPECT_TRUE(near(column(attribution, b, t), matrices[static_cast<std::size_t>(b)][source(b) + position(b, t)],
                         1e-4, tolerance))
            << "text " << b << ", step " << t;
  }

  void expect_columns_of_one(const Attribution& attribution) const {
    for (std::int64_t b = 0; b < problem_.batch_size(); ++b)
      for (std::int64_t t = 0; t < steps(b); ++t) EXPECT_NEAR(column(attribution, b, t).sum().item<double>(), 1, 1e-5);
  }

 private:
  static std::vector<Sequence> sequences(bool with_source, Span steps) {
    const auto tokens = [](const TokenIds& ids) {
      std::vector<Token> result;
      for (const std::int64_t id : ids) result.push_back({std::to_string(id), id});
      return result;
    };
    std::vector<Sequence> result(2);
    result[0] = {.id = "0", .target = tokens({2, 17, 5, 38, 33, 8, 21, 11}), .steps = steps};
    result[1] = {.id = "1", .target = tokens({2, 9, 30, 34, 6}), .steps = {3, 5}};
    if (with_source) {
      result[0].source = tokens({7, 19, 4, 1});
      result[1].source = tokens({12, 5, 33, 8, 20, 1});
    }
    return result;
  }

  std::unique_ptr<Model> model_;
  std::unique_ptr<StepFunction> score_;
  Problem problem_;
};

}  // namespace whence::testing
