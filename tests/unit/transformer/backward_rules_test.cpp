// Rules that replace derivatives, against forwards that autograd differentiates as the rules say.
#include "backward_rules.h"

#include <ATen/ops/zeros_like.h>

#include <limits>

#include "autograd_oracle.h"
#include "by_autograd.h"
#include "support/text_of_error.h"
#include "traced_decoder.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

struct RulesCase {
  const char* name;
  std::vector<BackwardRule> rules;
  oracle::Rules reference;
  Activation activation = Activation::silu;

  bool deeplift() const {
    return std::ranges::any_of(rules, [](const BackwardRule& rule) { return rule.rule == "deeplift"; });
  }
};

const std::vector<std::int64_t> kLengths = {19, 60};
const std::vector<std::vector<std::int64_t>> kPositions = {{18, 3, 7, 7, -1}, {0, 52, 30, -1, 59}};
/// Rows at the start of each text that are the same in the reference pass.
constexpr std::int64_t kSame = 4;

template <class T>
struct Prepared {
  DecoderConfig config;
  RandomTensors random{kType<T>, 31};
  DecoderWeights weights;
  Decoder<T> decoder;
  oracle::Decoder reference;
  std::vector<Tensor> embeddings, baselines;
  Tensor cotangents;

  explicit Prepared(Activation activation)
      : config(config_with(activation)),
        weights(random_weights(config, random)),
        decoder(config, weights, {}),
        reference(config, weights) {
    for (const std::int64_t length : kLengths) {
      embeddings.push_back(random({length, config.hidden}));
      baselines.push_back(random({length, config.hidden}));
      baselines.back().narrow(0, 0, kSame).copy_(embeddings.back().narrow(0, 0, kSame));
    }
    cotangents = random({2, 5, config.vocabulary});
  }

  static DecoderConfig config_with(Activation activation) {
    DecoderConfig config = small_config(3);
    config.layers[1].window = 7;
    config.attention.norm = HeadNorm::each;
    config.mlp.bias = Presence::always;
    config.mlp.activation = activation;
    return config;
  }
};

const std::vector<std::int64_t> kLayers = {0, 1, 2, 3};

class Rules : public ::testing::TestWithParam<RulesCase> {
 protected:
  template <class T>
  static void equal_autograd() {
    const Prepared<T> prepared(GetParam().activation);
    const TracedDecoder<T> traced(prepared.decoder, prepared.embeddings, kPositions);
    const TracedDecoder<T> baseline(prepared.decoder, prepared.baselines, kPositions);
    const DecoderRules rules =
        read_rules(GetParam().rules, {&prepared.config}, GetParam().deeplift() ? &baseline.trace() : nullptr);
    const auto got = traced.gradients(prepared.cotangents, 0, kLayers, rules);
    for (std::size_t b = 0; b < kLengths.size(); ++b) {
      oracle::Rules reference = GetParam().reference;
      const auto gates = prepared.reference.run(prepared.baselines[b].to(at::kDouble), kLengths[b]).gates;
      if (GetParam().deeplift()) reference.reference_gates = &gates;
      const auto expected = oracle::gradients(prepared.reference, prepared.embeddings[b], kLengths[b], kPositions[b],
                                              prepared.cotangents[static_cast<std::int64_t>(b)], kLayers, reference);
      for (std::size_t i = 0; i < kLayers.size(); ++i)
        for (std::int64_t t = 0; t < 5; ++t)
          EXPECT_TRUE(relatively_near(got[i][b].select(1, t), expected[i].select(1, t), kTolerance<T>))
              << "text " << b << ", step " << t << ", layer " << kLayers[i];
    }
  }
};

TEST_P(Rules, EqualAutogradInFloat) { equal_autograd<float>(); }
TEST_P(Rules, EqualAutogradInDouble) { equal_autograd<double>(); }

TEST_P(Rules, ChangeTheGradients) {
  const Prepared<double> prepared(GetParam().activation);
  const TracedDecoder<double> traced(prepared.decoder, prepared.embeddings, kPositions);
  const TracedDecoder<double> baseline(prepared.decoder, prepared.baselines, kPositions);
  const DecoderRules rules =
      read_rules(GetParam().rules, {&prepared.config}, GetParam().deeplift() ? &baseline.trace() : nullptr);
  const auto plain = traced.gradients(prepared.cotangents, 0, {}).back();
  const auto changed = traced.gradients(prepared.cotangents, 0, {}, rules).back();
  EXPECT_FALSE(relatively_near(changed[1], plain[1], 1e-3));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Rules,
    ::testing::Values(RulesCase{"frozen_norms", {{"norm", "frozen"}}, {.frozen_norms = true}},
                      RulesCase{"frozen_softmax", {{"softmax", "frozen"}}, {.frozen_softmax = true}},
                      RulesCase{"tempered_softmax", {{"softmax", "tempered", 2}}, {.softmax_temperature = 2}},
                      RulesCase{"cooled_softmax", {{"softmax", "tempered", 0.5}}, {.softmax_temperature = 0.5}},
                      RulesCase{
                          "gim",
                          {{"norm", "frozen"},
                           {"softmax", "tempered", 2},
                           {"attention_product", "scaled", 0.5},
                           {"gate_product", "scaled", 0.5}},
                          {.frozen_norms = true, .product_factor = 0.5, .gate_factor = 0.5, .softmax_temperature = 2}},
                      RulesCase{"scaled_attention", {{"attention_product", "scaled", 0.5}}, {.product_factor = 0.5}},
                      RulesCase{"scaled_gates", {{"gate_product", "scaled", 0.5}}, {.gate_factor = 0.5}},
                      RulesCase{"deeplift_silu", {{"activation", "deeplift"}}, {}, Activation::silu},
                      RulesCase{"deeplift_gelu", {{"activation", "deeplift"}}, {}, Activation::gelu},
                      RulesCase{"deeplift_gelu_tanh", {{"activation", "deeplift"}}, {}, Activation::gelu_tanh},
                      RulesCase{"deeplift_relu", {{"activation", "deeplift"}}, {}, Activation::relu},
                      RulesCase{"all",
                                {{"gate_product", "scaled", 0.25},
                                 {"attention_product", "scaled", -0.5},
                                 {"softmax", "frozen"},
                                 {"activation", "deeplift"},
                                 {"norm", "frozen"}},
                                {true, true, -0.5, 0.25}},
                      RulesCase{"all_but_frozen_softmax",
                                {{"norm", "frozen"},
                                 {"activation", "deeplift"},
                                 {"attention_product", "scaled", 0.5},
                                 {"gate_product", "scaled", 0.5}},
                                {.frozen_norms = true, .product_factor = 0.5, .gate_factor = 0.5}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RulesOfTheGradient, ChangeNothing) {
  const Prepared<double> prepared(Activation::silu);
  const TracedDecoder<double> traced(prepared.decoder, prepared.embeddings, kPositions);
  const auto plain = traced.gradients(prepared.cotangents, 0, kLayers);
  const DecoderRules named = read_rules({{"norm", "gradient"},
                                         {"activation", "gradient"},
                                         {"softmax", "gradient"},
                                         {"attention_product", "gradient"},
                                         {"gate_product", "gradient"}},
                                        {&prepared.config}, nullptr);
  const DecoderRules by_one =
      read_rules({{"attention_product", "scaled", 1}, {"gate_product", "scaled", 1}, {"softmax", "tempered", 1}},
                 {&prepared.config}, nullptr);
  // Where reference and input are the same, the slope between them is the derivative.
  const DecoderRules from_itself = read_rules({{"activation", "deeplift"}}, {&prepared.config}, &traced.trace());
  for (const DecoderRules& rules : {named, by_one, from_itself}) {
    const auto got = traced.gradients(prepared.cotangents, 0, kLayers, rules);
    for (std::size_t i = 0; i < plain.size(); ++i)
      for (std::size_t b = 0; b < kLengths.size(); ++b) EXPECT_TRUE(relatively_near(got[i][b], plain[i][b], 0));
  }
}

std::string error_of(const std::vector<BackwardRule>& rules, const PassTrace* reference = nullptr,
                     const StackConfig& stack = small_config(2)) {
  return testing::text_of_error<ConfigError>([&] { read_rules(rules, {&stack}, reference); });
}

TEST(RulesThatCannotBe, AreNamed) {
  EXPECT_EQ(error_of({{"nrom", "frozen"}}),
            "unknown operation of a backward rule 'nrom'; did you mean 'norm'? known: activation, attention_product, "
            "gate_product, norm, softmax");
  EXPECT_EQ(error_of({{"activation", "deep_lift"}}),
            "unknown backward rule of activation 'deep_lift'; did you mean 'deeplift'? known: deeplift, gradient");
  EXPECT_EQ(error_of({{"norm", "deeplift"}}), "unknown backward rule of norm 'deeplift'; known: frozen, gradient");
  const DecoderConfig plain = small_config(2);
  EXPECT_THROW(read_rules({{"nrom", "frozen"}}, {&plain}, nullptr), UnknownName);
  EXPECT_THROW(read_rules({{"norm", "deeplift"}}, {&plain}, nullptr), UnknownName);
  EXPECT_EQ(error_of({{"norm", "frozen"}, {"softmax", "frozen"}, {"norm", "gradient"}}),
            "backward rules: two rules for the operation norm; give one");
  EXPECT_EQ(error_of({{"activation", "deeplift"}}),
            "backward rule deeplift of activation: there is no reference pass; give the traced pass over the baseline");
  EXPECT_EQ(error_of({{"gate_product", "scaled", std::numeric_limits<double>::infinity()}}),
            "backward rule scaled of gate_product: expected a finite factor, found inf");
  EXPECT_EQ(error_of({{"attention_product", "scaled", std::numeric_limits<double>::quiet_NaN()}}),
            "backward rule scaled of attention_product: expected a finite factor, found nan");
  EXPECT_EQ(error_of({{"softmax", "tempered", 0}}),
            "backward rule tempered of softmax: expected a temperature above 0, found 0.000000");
  const PassTrace reference;
  const std::string unused = "a reference pass is given, but no backward rule uses it; add deeplift of activation";
  EXPECT_EQ(error_of({}, &reference), unused);
  EXPECT_EQ(error_of({{"activation", "gradient"}, {"norm", "frozen"}}, &reference), unused);
}

DecoderConfig with_experts(bool gated) {
  DecoderConfig config = small_config(2);
  config.mlp.gated = gated;
  config.experts.count = 4;
  config.experts.chosen = 2;
  config.experts.each = config.mlp;
  config.layers[1].experts = true;
  return config;
}

TEST(RulesThatCannotBe, IncludeThoseOfGatesThatAModelLacks) {
  const std::vector<BackwardRule> rule = {{"gate_product", "scaled", 0.5}};
  const std::string text =
      "backward rule scaled of gate_product: the feed-forward networks of the model have no gates; leave the rule out";
  DecoderConfig plain = small_config(2);
  plain.mlp.gated = false;
  EXPECT_EQ(error_of(rule, nullptr, plain), text);
  EXPECT_EQ(error_of(rule, nullptr, with_experts(false)), text);
  EXPECT_EQ(error_of({{"gate_product", "gradient"}}, nullptr, plain), "nothing was thrown");
  EXPECT_EQ(error_of(rule, nullptr, with_experts(true)), "nothing was thrown");
  // Gates of experts, or of one of two stacks, are enough.
  DecoderConfig experts_alone = with_experts(true);
  experts_alone.mlp.gated = false;
  EXPECT_EQ(error_of(rule, nullptr, experts_alone), "nothing was thrown");
  const DecoderConfig gated = small_config(1);
  EXPECT_EQ(read_rules(rule, {&plain, &gated}, nullptr).gate_factor, 0.5);
  EXPECT_EQ(testing::text_of_error<ConfigError>([&] { read_rules(rule, {&plain, &plain}, nullptr); }), text);
}

TEST(RulesThatCannotBe, IncludeSlopesBetweenExperts) {
  const PassTrace reference;
  const std::vector<BackwardRule> rule = {{"activation", "deeplift"}};
  const std::string text =
      "backward rule deeplift of activation: tokens of the model choose among experts, and a reference may choose "
      "others, so that there is no slope between them; use the rule gradient";
  EXPECT_EQ(error_of(rule, &reference, with_experts(true)), text);
  const DecoderConfig experts = with_experts(true), dense = small_config(2);
  EXPECT_EQ(testing::text_of_error<ConfigError>([&] { read_rules(rule, {&experts, &dense}, &reference); }), text);
  EXPECT_EQ(error_of(rule, &reference), "nothing was thrown");
}

}  // namespace
}  // namespace whence::transformer
