// Attributions of a stored checkpoint against what their definitions say, computed with single passes of the model.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "host/model_loading.h"
#include "support/least_budget.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "whence/problem.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;
using testing::number;

class Oracle : public ::testing::Test {
 protected:
  static const Model& model() {
    static const host::LoadedModel loaded =
        host::load_model(testing::built_plugins(), WHENCE_TEST_DATA "/cases/models/llama");
    return *loaded.model;
  }

  /// A text explained from its third token on.
  static Sequence sequence(const std::string& text) {
    const Encoding encoding = model().tokenizer().encode(text);
    Sequence sequence;
    sequence.id = text;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i)
      sequence.target.push_back({encoding.tokens[i], encoding.ids[i]});
    sequence.steps = {2, std::ssize(sequence.target)};
    return sequence;
  }

  Problem problem(const std::vector<std::string>& texts, const std::string& score = "probability",
                  std::int64_t memory_bytes = 0) {
    scores_.push_back(testing::built_plugins().make_step_function(choice(score)));
    std::vector<Sequence> sequences;
    for (const auto& text : texts) sequences.push_back(sequence(text));
    Problem::Options options;
    options.memory_bytes = memory_bytes;
    return Problem(model(), *scores_.back(), std::move(sequences), options);
  }

  static Attribution attribute(const Problem& problem, const std::string& method, Value::Map params = {}) {
    return testing::built_plugins().make_method(choice(method, std::move(params)))->attribute(problem);
  }

  /// Probability of `id` after the given rows [n,D], from a pass over nothing else.
  static double probability(const Tensor& rows, std::int64_t id) {
    const std::int64_t length = rows.size(0);
    Inputs inputs;
    inputs.target = {at::zeros({1, length}, at::kLong), at::tensor({length}, at::kLong)};
    inputs.target_embeddings = rows.unsqueeze(0);
    ForwardRequest request;
    request.positions = at::tensor({length - 1}, at::kLong).unsqueeze(0);
    return model().forward(inputs, request).logits.to(at::kDouble).softmax(-1)[0][0][id].item<double>();
  }

  /// Calls work(b, t, visible, id) for every step: it sees `visible` rows of sequence b and scores token `id`.
  template <class Work>
  static void for_each_step(const Problem& problem, const Work& work) {
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const Sequence& sequence = problem.sequences()[static_cast<std::size_t>(b)];
      for (std::int64_t t = 0; t < sequence.steps.size(); ++t) {
        const std::int64_t position = sequence.steps.start + t;
        work(b, t, position, sequence.target[static_cast<std::size_t>(position)].id);
      }
    }
  }

  /// Largest difference, over all steps, between the sum of the attributions and f(input) - f(baseline).
  double incompleteness(const Problem& problem, std::int64_t nodes) const {
    const Tensor total = attribute(problem, "integrated_gradients", {{"n_steps", number(nodes)}}).target.sum({1, 3});
    double largest = 0;
    for_each_step(problem, [&](auto b, auto t, auto visible, auto id) {
      const auto score = [&](const Tensor& rows) { return probability(rows[b].narrow(0, 0, visible), id); };
      const double change = score(problem.embeddings(Side::target)) - score(problem.baseline_embeddings(Side::target));
      largest = std::max(largest, std::abs(total[b][t].template item<double>() - change));
    });
    return largest;
  }

  /// What each row [B,L,T] loses the score when it alone stands at its baseline.
  void expect_drops(const Problem& problem, const Tensor& got, double tolerance) const {
    const Tensor& embeddings = problem.embeddings(Side::target);
    const Tensor& baseline = problem.baseline_embeddings(Side::target);
    for_each_step(problem, [&](auto b, auto t, auto visible, auto id) {
      const Tensor rows = embeddings[b].narrow(0, 0, visible);
      for (std::int64_t l = 0; l < visible; ++l) {
        Tensor replaced = rows.clone();
        replaced[l].copy_(baseline[b][l]);
        EXPECT_NEAR(got[b][l][t].template item<double>(), probability(rows, id) - probability(replaced, id), tolerance)
            << "text " << b << ", row " << l << ", step " << t;
      }
    });
  }

 private:
  std::vector<std::unique_ptr<StepFunction>> scores_;  ///< outlive the problems
};

const std::vector<std::string> kTexts = {"The cat sat on the mat", "Hello world, how are you today?", "A long day"};

TEST_F(Oracle, IntegratedGradientsAddUpToTheScoreDifference) {
  const Problem texts = problem(kTexts);
  // The small norms at the baseline make the gradient change fast there, so that few nodes leave a rest.
  EXPECT_LT(incompleteness(texts, 64), 5e-3);
  EXPECT_LT(incompleteness(texts, 256), 1e-6);
}

TEST_F(Oracle, OcclusionIsTheDropOfTheScore) {
  const Problem texts = problem(kTexts);
  expect_drops(texts, attribute(texts, "occlusion").target, 1e-6);
}

TEST_F(Oracle, SequentialIntegratedGradientsOfATokenAddUpToTheDropOfTheScore) {
  const Problem texts = problem({kTexts[0], kTexts[2]});
  // Where a path passes near the origin the gradient peaks, so that it takes many nodes.
  const Value::Map params = {{"n_steps", number(256)}};
  expect_drops(texts, attribute(texts, "sequential_integrated_gradients", params).target.sum(-1), 1e-5);
}

class OracleBatch : public Oracle, public ::testing::WithParamInterface<const char*> {};

TEST_P(OracleBatch, DoesNotDependOnItsNeighbours) {
  const std::string method = GetParam();
  const Tensor together = attribute(problem(kTexts), method).target;
  for (std::size_t b = 0; b < kTexts.size(); ++b) {
    const Problem one = problem({kTexts[b]});
    const Tensor alone = attribute(one, method).target;
    const Tensor mine = together[static_cast<std::int64_t>(b)].narrow(0, 0, alone.size(1)).narrow(1, 0, alone.size(2));
    for (std::int64_t t = 0; t < one.steps(); ++t) {  // what a step cannot see is the host's to blank
      const std::int64_t visible = one.predicting_positions()[0][t].item<std::int64_t>() + 1;
      EXPECT_TRUE(
          near(mine.select(1, t).narrow(0, 0, visible), alone[0].select(1, t).narrow(0, 0, visible), 1e-4, 1e-7))
          << kTexts[b] << ", step " << t;
    }
  }
}

class OracleBudget : public Oracle, public ::testing::WithParamInterface<const char*> {};

TEST_P(OracleBudget, DoesNotMatter) {
  const std::string method = GetParam();
  Value::Map params;
  if (method.ends_with("integrated_gradients")) params.emplace_back("n_steps", number(5));
  const auto with = [&](std::int64_t budget) {
    const Problem texts = problem(kTexts, "probability", budget);
    const Tensor target = attribute(texts, method, params).target;
    return std::pair{target, texts.cost()};
  };
  const auto [tight, tight_cost] = with(testing::least_budget(with));
  const auto [roomy, roomy_cost] = with(0);
  const double distance = at::linalg_vector_norm(tight - roomy, 2).item<double>();
  EXPECT_LE(distance, 1e-6 * at::linalg_vector_norm(roomy, 2).item<double>());
  EXPECT_GT(tight_cost.forward_passes, roomy_cost.forward_passes);
}

INSTANTIATE_TEST_SUITE_P(Methods, OracleBatch,
                         ::testing::Values("attention", "input_x_gradient", "integrated_gradients", "occlusion",
                                           "saliency", "sequential_integrated_gradients", "value_zeroing"),
                         [](const auto& info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(Methods, OracleBudget,
                         ::testing::Values("input_x_gradient", "integrated_gradients", "occlusion", "saliency",
                                           "sequential_integrated_gradients"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace whence
