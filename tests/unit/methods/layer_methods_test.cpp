// DeepLIFT, GIM, and methods at layers, on a model whose layers are a fading average and a tanh.
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;
using testing::text_of_error;

class LayerMethods : public testing::MethodTest {
 protected:
  static Tensor difference(const Problem& problem) {
    return (problem.embeddings(Side::target) - problem.baseline_embeddings(Side::target)).unsqueeze(2);
  }
  static Tensor score_difference(const Problem& problem) {
    const Tensor ends = problem.scores(Nodes{{0.0, 1.0}, {1.0, 1.0}});
    return ends[1] - ends[0];
  }
  static Tensor total(const Attribution& attribution) {
    Tensor sum = attribution.target.defined() ? attribution.target.sum({1, 3}) : Tensor();
    if (!attribution.source.defined()) return sum;
    return sum.defined() ? sum + attribution.source.sum({1, 3}) : attribution.source.sum({1, 3});
  }
  static std::string error(const Problem& problem, const std::string& method, Value::Map params) {
    return text_of_error<ConfigError>([&] { attribute(problem, method, std::move(params)); });
  }
};

TEST_F(LayerMethods, DeepLiftIsCompleteWhereTheActivationIsAllThatBends) {
  const Problem logits = problem("logit");
  const Attribution got = attribute(logits, "deeplift");
  EXPECT_EQ(got.granularity, std::vector<std::string>{"hidden"});
  EXPECT_TRUE(near(total(got), score_difference(logits), 1e-5, 1e-5));
  EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), at::zeros({2, 3}), 0, 1e-5));
  EXPECT_FALSE(near(attribute(logits, "input_x_gradient").target, got.target));
  const Problem both = problem("logit", true);
  EXPECT_TRUE(near(total(attribute(both, "deeplift")), score_difference(both), 1e-5, 1e-5));
  const Problem source = problem("logit", true, false);
  EXPECT_TRUE(near(total(attribute(source, "deeplift")), score_difference(source), 1e-5, 1e-5));
}

/// A net in which nothing bends, and whose unknown token has a zero embedding.
class LinearModel final : public testing::FakeModel {
 public:
  Tensor embed(const Tensor& ids, Side side) const override {
    return FakeModel::embed(ids, side) * (ids != *tokenizer().special_ids().unknown).unsqueeze(-1);
  }
  Tensor activated(const Tensor& before) const override { return before; }
};

TEST_F(LayerMethods, DeepLiftOfALinearNetIsGradientTimesInput) {
  const LinearModel linear;
  const auto logit = testing::built_plugins().make_step_function(testing::choice("logit"));
  const Problem texts(linear, *logit, {testing::fake_sequence({3, 7, 2, 9, 4, 6}, {3, 6})}, {});
  EXPECT_TRUE(near(texts.baseline_embeddings(Side::target), at::zeros_like(texts.embeddings(Side::target)), 0, 0));
  EXPECT_TRUE(near(attribute(texts, "deeplift").target, attribute(texts, "input_x_gradient").target, 1e-5, 1e-6));
}

TEST_F(LayerMethods, DeepLiftOfTheReferenceLeavesWhatIsNoReLU) {
  const Problem decoder = problem();
  const Attribution got = attribute(decoder, "deeplift", {{"compat", text("reference")}});
  const Tensor gradient = attribute(decoder, "saliency", {{"abs", Value(false)}}).target;
  EXPECT_TRUE(near(got.target, gradient * difference(decoder)));
  ASSERT_EQ(got.notes.size(), 1u);
  EXPECT_TRUE(got.notes[0].starts_with("no activation of the model is a ReLU")) << got.notes[0];
  EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), total(got) - score_difference(decoder), 1e-5, 1e-5));
}

TEST_F(LayerMethods, DeepLiftMultipliesAndRepeatsItsGapOnRequest) {
  const Problem decoder = problem();
  const Attribution got = attribute(decoder, "deeplift", {{"return_convergence_delta", Value(true)}});
  EXPECT_TRUE(near(got.step_scores.at("deltas"), got.step_scores.at("completeness_gap"), 0, 0));
  const Attribution slopes = attribute(decoder, "deeplift", {{"multiply_by_inputs", Value(false)}});
  EXPECT_TRUE(slopes.step_scores.empty());
  EXPECT_TRUE(near(slopes.target * difference(decoder), got.target));
  EXPECT_EQ(
      error(decoder, "deeplift", {{"multiply_by_inputs", Value(false)}, {"return_convergence_delta", Value(true)}}),
      "return_convergence_delta: there is no score difference to compare with while multiply_by_inputs is false; "
      "set one of them the other way");
}

TEST_F(LayerMethods, AtTheEmbeddingsAreTheirInputMethods) {
  for (const bool with_source : {false, true}) {
    const Problem texts = problem("probability", with_source);
    for (const auto& [layer, input, name] : {std::tuple{"layer_integrated_gradients", "integrated_gradients", Value()},
                                             {"layer_deeplift", "deeplift", text("embeddings")},
                                             {"layer_gradient_x_activation", "input_x_gradient", text("embedding")},
                                             {"layer_saliency", "saliency", Value()}}) {
      Value::Map params;
      if (std::string(input) == "integrated_gradients") params.emplace_back("n_steps", number(3));
      const Attribution expected = attribute(texts, input, params);
      params.emplace_back("target_layer", name);
      const Attribution got = attribute(texts, layer, params);
      EXPECT_TRUE(near(got.target, expected.target, 0, 0)) << layer;
      EXPECT_EQ(got.source.defined(), with_source);
      if (with_source) {
        EXPECT_TRUE(near(got.source, expected.source, 0, 0)) << layer;
      }
    }
  }
}

/// The first block takes the embeddings as they are.
TEST_F(LayerMethods, AtTheInputOfTheFirstBlockAreTheirInputMethods) {
  const Problem texts = problem("probability", true);
  const Value::Map params = {{"target_layer", number(0)}, {"attribute_to_layer_input", Value(true)}};
  for (const char* method : {"integrated_gradients", "deeplift", "input_x_gradient", "gim"}) {
    Value::Map plain, at_layer = params;
    if (std::string(method) == "integrated_gradients")
      for (Value::Map* each : {&plain, &at_layer}) each->emplace_back("n_steps", number(4));
    const Attribution got = attribute(texts, method, at_layer), expected = attribute(texts, method, plain);
    EXPECT_TRUE(near(got.target, expected.target)) << method;
    EXPECT_TRUE(near(got.source, expected.source)) << method;
    for (const auto& [name, scores] : expected.step_scores) EXPECT_TRUE(near(got.step_scores.at(name), scores)) << name;
  }
}

TEST_F(LayerMethods, IntegratesFromTheStatesOfTheBaseline) {
  const Problem decoder = problem();
  for (const std::int64_t block : {0, 1}) {
    const Attribution got =
        attribute(decoder, "layer_integrated_gradients", {{"target_layer", number(block)}, {"n_steps", number(64)}});
    EXPECT_TRUE(near(total(got), score_difference(decoder), 0, 2e-4)) << block;
    EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), at::zeros({2, 3}), 0, 2e-4)) << block;
    EXPECT_GT(got.target.abs().max().item<double>(), 1e-3) << block;
  }
  // The score is the logit of states that only the head comes after, so that every node has the same gradient.
  const Problem logits = problem("logit");
  const Value::Map last = {{"target_layer", number(-1)}};
  const Tensor expected = attribute(logits, "layer_deeplift", last).target;
  EXPECT_TRUE(near(attribute(logits, "layer_integrated_gradients", last).target, expected, 1e-5, 1e-6));
  EXPECT_TRUE(near(expected.sum({1, 3}), score_difference(logits), 1e-5, 1e-5));
  EXPECT_TRUE(near(attribute(logits, "layer_deeplift", {{"target_layer", number(0)}}).target.sum({1, 3}),
                   score_difference(logits), 1e-5, 1e-5));
}

TEST_F(LayerMethods, PointsAtTheInputOfTheFirstBlockAreThoseOfTheEmbeddings) {
  const Problem texts = problem("probability", true);
  for (const auto& [method, more] : {std::pair<const char*, Value::Map>{"gradient_shap", {}},
                                     {"gradient_shap", {{"stdevs", Value(0.3)}}},
                                     {"expected_gradients", {}},
                                     {"expected_gradients", {{"references", Value(Value::List{text("t4 t6")})}}},
                                     {"smoothgrad", {}},
                                     {"vargrad", {}},
                                     {"smoothgrad", {{"of", text("input_x_gradient")}}}}) {
    SCOPED_TRACE(method);
    Value::Map plain = more;
    plain.emplace_back("n_samples", number(4));
    Value::Map at_layer = plain;
    at_layer.emplace_back("target_layer", number(0));
    at_layer.emplace_back("attribute_to_layer_input", Value(true));
    const Attribution got = attribute(texts, method, at_layer), expected = attribute(texts, method, plain);
    EXPECT_TRUE(near(got.target, expected.target));
    EXPECT_TRUE(near(got.source, expected.source));
    for (const auto& [name, scores] : got.step_scores) EXPECT_TRUE(near(scores, expected.step_scores.at(name))) << name;
    EXPECT_GE(got.step_scores.size() + (more.empty() ? 0 : 1), expected.step_scores.size());
  }
}

/// The score is the logit of states that only the head comes after, so that every point has the same gradient.
TEST_F(LayerMethods, PointsAtTheLastLayerOfALogitAreComplete) {
  const Problem logits = problem("logit");
  const auto at_last = [&](const char* method, Value::Map params = {}) {
    params.emplace_back("target_layer", number(-1));
    params.emplace_back("n_samples", number(3));
    return attribute(logits, method, params);
  };
  const Attribution shap = at_last("layer_gradient_shap");
  EXPECT_TRUE(
      near(shap.target, attribute(logits, "layer_deeplift", {{"target_layer", number(-1)}}).target, 1e-5, 1e-6));
  EXPECT_TRUE(near(total(shap), score_difference(logits), 1e-5, 1e-5));
  const Attribution expected = at_last("layer_expected_gradients");
  EXPECT_GT(total(expected).abs().max().item<double>(), 1e-2);
  for (const Attribution* each : {&shap, &expected})
    EXPECT_TRUE(near(each->step_scores.at("completeness_gap"), at::zeros({2, 3}), 0, 1e-5));
  const Tensor gradient =
      attribute(logits, "layer_saliency", {{"target_layer", number(-1)}, {"abs", Value(false)}}).target;
  EXPECT_TRUE(near(at_last("layer_smoothgrad").target, gradient));
  EXPECT_TRUE(near(at_last("vargrad").target, at::zeros_like(gradient)));
}

TEST_F(LayerMethods, PointsOfANamedStackHaveAGapWhereTheirSideIsAttributed) {
  const Problem source_only = problem("probability", true, /*attribute_target=*/false);
  const auto at_layer = [&](const char* method, const char* layer, Value::Map params = {}) {
    params.emplace_back("target_layer", text(layer));
    return attribute(source_only, method, params);
  };
  const Attribution of_decoder = at_layer("expected_gradients", "decoder.0");
  EXPECT_FALSE(of_decoder.step_scores.contains("completeness_gap"));
  EXPECT_FALSE(of_decoder.source.defined());
  EXPECT_GT(of_decoder.target.abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(at_layer("expected_gradients", "encoder.0").step_scores.contains("completeness_gap"));
  // That of the baseline is known wherever it stands.
  EXPECT_LT(at_layer("gradient_shap", "decoder.0", {{"n_samples", number(3000)}})
                .step_scores.at("completeness_gap")
                .abs()
                .max()
                .item<double>(),
            0.05);
  const Value::Map deltas = {{"return_convergence_delta", Value(true)}};
  Value::Map noisy = deltas;
  noisy.emplace_back("stdevs", Value(0.1));
  for (const auto& [method, params] : {std::pair{"expected_gradients", deltas}, {"gradient_shap", noisy}})
    EXPECT_TRUE(text_of_error<ConfigError>([&] {
                  at_layer(method, "decoder.0", params);
                }).starts_with("return_convergence_delta: no scores are computed from noisy states of a layer"))
        << method;
}

TEST_F(LayerMethods, AllLayersAreEachLayerFromOneBackward) {
  for (const char* method : {"layer_gradient_x_activation", "saliency", "gim"}) {
    SCOPED_TRACE(method);
    const auto params = [&](Value layer) {
      Value::Map map{{"target_layer", std::move(layer)}};
      if (std::string(method) == "gim") map.emplace_back("multiply", text("input"));
      return map;
    };
    const Problem texts = problem();
    const Attribution all = attribute(texts, method, params(text("all")));
    EXPECT_EQ(all.granularity, (std::vector<std::string>{"layer_state", "hidden"}));
    EXPECT_EQ(texts.cost().backward_passes, 1);
    EXPECT_EQ(texts.cost().forward_passes, 1);
    ASSERT_EQ(all.target.size(3), 3);
    Value::Map first = params(number(0));
    first.emplace_back("attribute_to_layer_input", Value(true));
    EXPECT_TRUE(near(all.target.select(3, 0), attribute(texts, method, first).target));
    for (const std::int64_t block : {0, 1})
      EXPECT_TRUE(near(all.target.select(3, block + 1), attribute(texts, method, params(number(block))).target));
  }
}

TEST_F(LayerMethods, NamedStacksAttributeTheirOwnSide) {
  const Problem both = problem("probability", true);
  const auto at_layer = [&](const Problem& texts, const char* layer) {
    return attribute(texts, "layer_gradient_x_activation", {{"target_layer", text(layer)}});
  };
  for (const char* layer : {"decoder.1", "decoder.blocks.1"}) {
    EXPECT_FALSE(at_layer(both, layer).source.defined());
    EXPECT_TRUE(at_layer(both, layer).target.defined());
  }
  const Attribution encoder = at_layer(both, "encoder.-1");
  EXPECT_FALSE(encoder.target.defined());
  EXPECT_TRUE(encoder.source.defined());
  EXPECT_EQ(
      encoder.notes,
      std::vector<std::string>{
          "the layer encoder.-1 holds tokens of the source alone, so those of the other side are not attributed; a "
          "number without the name of a stack means both"});
  const Tensor of_decoder = at_layer(both, "decoder.1").target;
  const Problem source_only = problem("probability", true, /*attribute_target=*/false);
  EXPECT_TRUE(near(at_layer(source_only, "decoder.1").target, of_decoder));
  EXPECT_TRUE(at_layer(source_only, "encoder.blocks.1").notes.empty());
}

TEST_F(LayerMethods, NameLayersThatAreNotThereBeforeAnyWork) {
  const Problem decoder = problem();
  EXPECT_EQ(error(decoder, "layer_deeplift", {{"target_layer", number(2)}}),
            "target_layer: no block 2: the decoder of fake has 2 blocks; expected -2 to 1");
  EXPECT_EQ(error(decoder, "saliency", {{"target_layer", text("decoder.-3")}}),
            "target_layer: no block -3: the decoder of fake has 2 blocks; expected -2 to 1");
  EXPECT_EQ(error(decoder, "layer_integrated_gradients", {{"target_layer", text("decoder.block.1")}}),
            "unknown target_layer of fake 'decoder.block.1'; known: <number>, all, "
            "decoder.<number>, decoder.blocks.<number>, embedding, embeddings, encoder.blocks.<number>");
  EXPECT_TRUE(
      error(decoder, "gim", {{"target_layer", text("encoder.1")}}).starts_with("unknown target_layer of fake "));
  EXPECT_EQ(error(decoder, "input_x_gradient", {{"target_layer", Value(1.5)}}),
            "target_layer: expected the number of a block or the name of a layer, found a number");
  EXPECT_EQ(error(decoder, "input_x_gradient", {{"attribute_to_layer_input", Value(true)}}),
            "attribute_to_layer_input: what goes into the embeddings are ids, which have no gradient, and all layers "
            "include their inputs; name a block as target_layer, or leave it out");
  EXPECT_EQ(error(decoder, "integrated_gradients", {{"target_layer", text("all")}}),
            "target_layer: a path begins at one layer, not at all; name a block");
  EXPECT_EQ(error(decoder, "deeplift", {{"target_layer", text("all")}}),
            "target_layer: differences begin at one layer, not at all; name a block");
  EXPECT_EQ(error(decoder, "smoothgrad", {{"target_layer", text("all")}}),
            "target_layer: noise goes to one layer, not to all; name a block");
  for (const char* method : {"gradient_shap", "expected_gradients"})
    EXPECT_EQ(error(decoder, method, {{"target_layer", text("all")}}),
              "target_layer: a path begins at one layer, not at all; name a block");
  for (Value layer : {number(1), text("all")}) {
    EXPECT_EQ(error(decoder, "discretized_integrated_gradients", {{"target_layer", layer}}),
              "target_layer: its points are words, and states of a layer are none; leave it out, or use "
              "'integrated_gradients'");
    EXPECT_EQ(error(decoder, "sequential_integrated_gradients", {{"target_layer", layer}}),
              "target_layer: a state has moved with every token before it, so that no path moves it alone; leave it "
              "out, or use 'integrated_gradients'");
  }
  EXPECT_EQ(error(decoder, "gim", {{"target_layer", text("all")}}),
            "multiply: differences from the baseline are taken at one layer, not at all; set it to input or nothing");
  EXPECT_EQ(error(decoder, "gim", {{"temperature", Value(0.0)}}),
            "temperature: expected a number above 0; 1 changes nothing");
  EXPECT_EQ(decoder.cost().forward_passes, 0);
}

TEST_F(LayerMethods, GimWithoutItsRulesIsDifferenceTimesGradient) {
  const Problem decoder = problem();
  const Attribution got = attribute(
      decoder, "gim", {{"temperature", Value(1.0)}, {"product_factor", Value(1.0)}, {"freeze_norms", Value(false)}});
  const Tensor expected = attribute(decoder, "saliency", {{"abs", Value(false)}}).target * difference(decoder);
  EXPECT_TRUE(near(got.target, expected));
  EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), total(got) - score_difference(decoder), 1e-5, 1e-5));
}

}  // namespace
}  // namespace whence
