// Layer and rule based methods on stored checkpoints, where the reference toolkit returns nothing but zeros or refuses.
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <gtest/gtest.h>

#include "host/model_loading.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "whence/problem.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;
using testing::number;
using testing::text;

class Layers : public ::testing::TestWithParam<const char*> {
 protected:
  const host::LoadedModel loaded_ =
      host::load_model(testing::built_plugins(), WHENCE_TEST_DATA "/cases/models/" + std::string(GetParam()));
  const std::unique_ptr<StepFunction> score_ = testing::built_plugins().make_step_function(choice("probability"));

  const Model& model() const { return *loaded_.model; }
  bool encodes() const { return model().info().kind == ModelKind::encoder_decoder; }

  static std::vector<Token> tokens(std::initializer_list<std::int64_t> ids) {
    std::vector<Token> tokens;
    for (const std::int64_t id : ids) tokens.push_back({"t" + std::to_string(id), id});
    return tokens;
  }

  Problem problem(bool attribute_target = true) const {
    std::vector<Sequence> texts(2);
    texts[0].target = tokens({9, 17, 25, 40, 33, 8});
    texts[0].steps = {2, 6};
    texts[1].target = tokens({9, 30, 44, 12});
    texts[1].steps = {1, 4};
    if (encodes()) {
      texts[0].source = tokens({14, 9, 23, 22});
      texts[1].source = tokens({12, 16, 41, 7, 18});
    }
    return Problem(model(), *score_, std::move(texts), {.attribute_target = attribute_target});
  }

  static Attribution attribute(const Problem& problem, const std::string& method, Value::Map params = {}) {
    return testing::built_plugins().make_method(choice(method, std::move(params)))->attribute(problem);
  }

  static void expect_same(const Attribution& got, const Attribution& expected, double tolerance) {
    for (const auto& [one, other] : {std::pair{got.target, expected.target}, {got.source, expected.source}}) {
      ASSERT_EQ(one.defined(), other.defined());
      if (one.defined()) {
        EXPECT_TRUE(near(one, other, tolerance, tolerance * other.abs().max().item<double>()));
      }
    }
  }
};

TEST_P(Layers, IntegralsAreCompleteAtEveryLayer) {
  for (const bool attribute_target : {false, true}) {
    const Problem texts = problem(attribute_target);
    for (std::int64_t block = 0; block < model().info().layers; ++block) {
      SCOPED_TRACE(block);
      const Attribution got =
          attribute(texts, "layer_integrated_gradients", {{"target_layer", number(block)}, {"n_steps", number(300)}});
      const Tensor& some = got.target.defined() ? got.target : got.source;
      const double largest = some.sum(-1).abs().max().item<double>();
      EXPECT_GT(largest, 0);
      EXPECT_LT(got.step_scores.at("completeness_gap").abs().max().item<double>(), 2e-2 * largest);
      EXPECT_EQ(got.source.defined(), encodes());
      EXPECT_EQ(got.target.defined(), !encodes() || attribute_target);
    }
    if (!encodes()) break;
  }
}

TEST_P(Layers, WithoutNoiseSmoothGradIsTheGradientAtEveryLayer) {
  const Problem texts = problem();
  for (std::int64_t block = 0; block < model().info().layers; ++block) {
    const Value::Map at_layer = {{"target_layer", number(block)}};
    Value::Map none = at_layer, plain = at_layer;
    none.insert(none.end(), {{"noise", Value(0.0)}, {"n_samples", number(2)}});
    plain.emplace_back("abs", Value(false));
    expect_same(attribute(texts, "smoothgrad", none), attribute(texts, "saliency", plain), 1e-4);
  }
}

/// Central differences over every number of the embeddings, all copies of the text in one pass.
TEST_P(Layers, TemperatureScopeIsTheGradientOfTheLengthOfTheFinalState) {
  const Problem texts = problem();
  const Attribution got = attribute(texts, "temperature_scope");
  constexpr std::int64_t kStep = 3, kPosition = 4, kRows = 5;  // of the first text
  for (const Side side : {Side::source, Side::target}) {
    if (texts.length(side) == 0) continue;
    const std::int64_t rows = side == Side::source ? 4 : kRows;
    const Tensor own = texts.embeddings(side)[0].narrow(0, 0, rows);
    const std::int64_t numbers = own.numel();
    // Kinks of T5's ReLU lie within larger steps, and float scores of the others lose too many digits in smaller ones.
    const double move = (std::string(GetParam()) == "t5" ? 5e-4 : 1e-2) * own.square().mean().sqrt().item<double>();
    const Tensor moves = move * at::eye(numbers).view({numbers, rows, -1});
    const auto length = [&](const Tensor& embeddings) {
      Inputs inputs;
      const auto ids = [&](const PaddedIds& all, std::int64_t count) -> PaddedIds {
        if (!all.defined()) return {};
        return {all.ids.narrow(0, 0, 1).narrow(1, 0, count).expand({numbers, -1}).contiguous(),
                at::full({numbers}, count, at::kLong)};
      };
      inputs.target = ids(texts.inputs().target, kRows);
      inputs.source = ids(texts.inputs().source, 4);
      (side == Side::source ? inputs.source_embeddings : inputs.target_embeddings) = embeddings;
      const Forward forward =
          model().forward(inputs, {.positions = at::full({numbers, 1}, kPosition, at::kLong), .layer_states = true});
      return at::linalg_vector_norm(forward.layer_states.back().select(1, kPosition).to(at::kDouble), 2, -1);
    };
    const Tensor gradient = (length(own + moves) - length(own - moves)) / (2 * move);
    const Tensor expected = at::linalg_vector_norm(gradient.view({rows, -1}), 2, -1).to(at::kFloat);
    const Tensor found = (side == Side::source ? got.source : got.target)[0].narrow(0, 0, rows).select(1, kStep);
    EXPECT_GT(expected.max().item<double>(), 0);
    EXPECT_TRUE(near(found, expected, 1e-2, 1e-2 * expected.max().item<double>())) << (side == Side::source);
  }
}

/// At the first block's input the states are the embeddings plus what doesn't depend on them, so differences agree.
TEST_P(Layers, DifferencesAtTheFirstInputAreThoseOfTheEmbeddings) {
  if (std::string(GetParam()) == "bart") GTEST_SKIP() << "its embeddings are normed";
  const Problem texts = problem();
  const Value::Map first = {{"target_layer", number(0)}, {"attribute_to_layer_input", Value(true)}};
  for (const char* method : {"integrated_gradients", "deeplift", "gim", "gradient_shap", "expected_gradients"}) {
    SCOPED_TRACE(method);
    Value::Map params;
    if (std::string(method) == "expected_gradients") params.emplace_back("n_samples", number(4));
    Value::Map at_layer = params;
    at_layer.insert(at_layer.end(), first.begin(), first.end());
    expect_same(attribute(texts, method, at_layer), attribute(texts, method, params), 1e-4);
  }
}

TEST_P(Layers, AllLayersAreEachLayer) {
  const Problem texts = problem();
  const Attribution all = attribute(texts, "layer_gradient_x_activation", {{"target_layer", text("all")}});
  if (!encodes()) {
    for (std::int64_t block = 0; block < model().info().layers; ++block) {
      const Attribution one = attribute(texts, "layer_gradient_x_activation", {{"target_layer", number(block)}});
      EXPECT_TRUE(near(all.target.select(3, block + 1), one.target, 1e-5, 1e-6)) << block;
    }
  }
  EXPECT_EQ(all.source.defined(), encodes());
  if (encodes()) {
    EXPECT_EQ(all.source.size(3), model().info().encoder_layers + 1);
  }
  // One sweep gives them for all steps.
  const Problem fresh = problem();
  attribute(fresh, "layer_gradient_x_activation", {{"target_layer", text("all")}});
  EXPECT_EQ(fresh.cost().backward_passes, 1);
}

TEST_P(Layers, RulesChangeWhatIsAttributed) {
  const Problem texts = problem();
  const Value::Map plain = {
      {"temperature", Value(1.0)}, {"product_factor", Value(1.0)}, {"freeze_norms", Value(false)}};
  const Attribution gradient = attribute(texts, "gim", plain);
  for (const char* method : {"gim", "deeplift"}) {
    const Attribution got = attribute(texts, method);
    EXPECT_FALSE(near(got.target, gradient.target, 1e-3, 1e-6)) << method;
    EXPECT_TRUE(got.step_scores.contains("completeness_gap"));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Layers, ::testing::Values("gpt2", "llama", "gemma2", "t5", "bart", "marian"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace whence
