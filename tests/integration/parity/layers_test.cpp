// Layer and rule based methods on stored checkpoints, where the reference toolkit returns nothing but zeros or refuses.
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

/// At the first block's input the states are the embeddings plus what doesn't depend on them, so differences agree.
TEST_P(Layers, DifferencesAtTheFirstInputAreThoseOfTheEmbeddings) {
  if (std::string(GetParam()) == "bart") GTEST_SKIP() << "its embeddings are normed";
  const Problem texts = problem();
  const Value::Map first = {{"target_layer", number(0)}, {"attribute_to_layer_input", Value(true)}};
  for (const char* method : {"integrated_gradients", "deeplift", "gim"}) {
    SCOPED_TRACE(method);
    expect_same(attribute(texts, method, first), attribute(texts, method), 1e-4);
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
