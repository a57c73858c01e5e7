// A whole decoder there and back, at the inputs of all its layers in one sweep, against autograd and differences.
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>

#include "autograd_oracle.h"
#include "backward_rules.h"
#include "by_autograd.h"
#include "decoder_cases.h"
#include "traced_decoder.h"

namespace whence::transformer {
namespace {

const std::vector<DecoderCase> kCases = {
    {"plain", [] { return small_config(2, 3, 3); }},
    {"one_layer", [] { return small_config(1); }},
    {"windows_and_a_layer_without_positions",
     [] {
       DecoderConfig config = small_config(3);
       config.layers = {{.window = 0}, {.window = 5}, {.rotary = -1}};
       config.attention.norm = HeadNorm::each;
       return config;
     }},
    {"biases_and_one_key_for_all",
     [] {
       DecoderConfig config = small_config(2, 4, 1);
       config.attention.bias = config.attention.output_bias = config.mlp.bias = Presence::always;
       config.mlp.activation = Activation::gelu_tanh;
       return config;
     }},
    {"frequencies_of_the_length",
     [] {
       DecoderConfig config = small_config(2, 4, 2, 8);
       config.rotary[0].scaling = RotaryScaling::dynamic;
       config.rotary[0].factor = 4;
       config.rotary[0].original_positions = 12;
       config.mlp.activation = Activation::gelu;
       return config;
     }},
    {"wide",
     [] {
       DecoderConfig config = small_config(2, 2, 1, 80);
       config.hidden = config.width = 70;
       config.mlp.inner = 130;
       config.vocabulary = 150;
       config.mlp.activation = Activation::gelu_tanh;
       return config;
     }},
};

/// More steps than go together, and more rows of cotangents than a tile has.
constexpr std::int64_t kSteps = 13;
const std::vector<std::int64_t> kLengths = {41, 9, 1, 60, 5};
constexpr std::size_t kWithoutSteps = 4;

/// Weights, texts and steps in no order, some of them at the same place or at none.
template <class T>
struct Prepared {
  DecoderConfig config;
  RandomTensors random{kType<T>, 21};
  DecoderWeights weights = random_weights(config, random);
  Decoder<T> decoder{config, weights, WeightPolicy{}};
  oracle::Decoder reference{config, weights};
  std::vector<Tensor> embeddings;
  std::vector<std::vector<std::int64_t>> positions;
  Tensor cotangents;

  explicit Prepared(const DecoderCase& of) : config(of.config()) {
    for (std::size_t b = 0; b < kLengths.size(); ++b) {
      embeddings.push_back(random({kLengths[b], config.width}));
      auto& steps = positions.emplace_back();
      for (std::int64_t t = 0; t < kSteps; ++t)
        steps.push_back(b == kWithoutSteps ? -1 : random.integer(-1, kLengths[b]));
    }
    positions[0][2] = kLengths[0] - 1;
    positions[0][7] = positions[0][3] = 20;
    cotangents = random({std::ssize(kLengths), kSteps, config.vocabulary});
  }

  TracedDecoder<T> traced() const { return {decoder, embeddings, positions}; }
  std::int64_t layers() const { return std::ssize(config.layers); }
};

class DecoderBackward : public ::testing::TestWithParam<DecoderCase> {
 protected:
  template <class T>
  static void equals_autograd() {
    const Prepared<T> prepared(GetParam());
    const TracedDecoder<T> traced = prepared.traced();
    // In no order, and one of them twice; behind them come the embeddings.
    std::vector<std::int64_t> layers;
    for (std::int64_t i = prepared.layers(); i >= 0; --i) layers.push_back(i);
    layers.push_back(prepared.layers());
    const auto got = traced.gradients(prepared.cotangents, 0, layers);
    ASSERT_EQ(got.size(), layers.size() + 1);
    for (std::size_t b = 0; b < kLengths.size(); ++b) {
      const auto text = static_cast<std::int64_t>(b);
      const auto reference = prepared.reference.run(prepared.embeddings[b].to(at::kDouble), kLengths[b]);
      for (std::int64_t t = 0; t < kSteps; ++t) {
        const std::int64_t position = prepared.positions[b][static_cast<std::size_t>(t)];
        if (position < 0) continue;
        EXPECT_TRUE(relatively_near(traced.logits()[text][t], reference.logits[position], kTolerance<T>));
      }
      const auto expected = oracle::gradients(prepared.reference, prepared.embeddings[b], kLengths[b],
                                              prepared.positions[b], prepared.cotangents[text], layers);
      for (std::size_t i = 0; i < got.size(); ++i)
        for (std::int64_t t = 0; t < kSteps; ++t)
          EXPECT_TRUE(relatively_near(got[i][b].select(1, t), expected[i].select(1, t), kTolerance<T>))
              << "text " << b << ", step " << t << ", "
              << (i < layers.size() ? "layer " + std::to_string(layers[i]) : "embeddings");
    }
  }
};

TEST_P(DecoderBackward, EqualsAutogradInFloat) { equals_autograd<float>(); }
TEST_P(DecoderBackward, EqualsAutogradInDouble) { equals_autograd<double>(); }

TEST_P(DecoderBackward, EqualsDifferences) {
  constexpr double kStep = 1e-5, kTolerated = 1e-7;
  Prepared<double> prepared(GetParam());
  const auto gradients = prepared.traced().gradients(prepared.cotangents, 0, {}).back();
  std::vector<Tensor> directions, forth, back, expected, got;
  for (const Tensor& x : prepared.embeddings) {
    directions.push_back(prepared.random(x.sizes()));
    forth.push_back(x + kStep * directions.back());
    back.push_back(x - kStep * directions.back());
  }
  const auto scores = [&](const std::vector<Tensor>& embeddings) {
    return (TracedDecoder<double>(prepared.decoder, embeddings, prepared.positions).logits() * prepared.cotangents)
        .sum(-1);
  };
  for (std::size_t b = 0; b < kLengths.size(); ++b)
    got.push_back((gradients[b] * directions[b].unsqueeze(1)).sum({0, 2}));
  EXPECT_TRUE(relatively_near(at::stack(got), (scores(forth) - scores(back)) / (2 * kStep), kTolerated));
}

/// Steps of a chunk are the same as in the whole.
TEST_P(DecoderBackward, OfSomeStepsIsThatOfAll) {
  const Prepared<double> prepared(GetParam());
  const TracedDecoder<double> traced = prepared.traced();
  const std::vector<std::int64_t> layers{prepared.layers()};
  const auto all = traced.gradients(prepared.cotangents, 0, layers);
  for (const auto& [first, count] : {std::pair{0, 1}, {0, 5}, {5, 4}, {9, 4}, {12, 1}}) {
    const auto some = traced.gradients(prepared.cotangents.narrow(1, first, count).contiguous(), first, layers);
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t b = 0; b < kLengths.size(); ++b)
        EXPECT_TRUE(relatively_near(some[i][b], all[i][b].narrow(1, first, count), kTolerance<double>))
            << "text " << b << ", " << count << " steps from " << first;
  }
}

/// A text is not the sum of what goes with it.
TEST_P(DecoderBackward, OfATextIsTheSameInAnyCompany) {
  const Prepared<float> prepared(GetParam());
  const auto together = prepared.traced().gradients(prepared.cotangents, 0, {}).back();
  for (std::size_t b = 0; b < kWithoutSteps; ++b) {
    const TracedDecoder<float> alone(prepared.decoder, {prepared.embeddings[b]}, {prepared.positions[b]});
    const auto got =
        alone.gradients(prepared.cotangents.narrow(0, static_cast<std::int64_t>(b), 1).contiguous(), 0, {});
    EXPECT_TRUE(at::equal(got.back()[0], together[b])) << "text " << b;
  }
}

/// Weights that are packed for every pass are the same weights.
TEST_P(DecoderBackward, IsTheSameWithWeightsPackedForEveryPass) {
  const Prepared<float> prepared(GetParam());
  const Decoder<float> unpacked(prepared.config, prepared.weights, {.resident = false});
  const TracedDecoder<float> expected = prepared.traced();
  const TracedDecoder<float> got(unpacked, prepared.embeddings, prepared.positions);
  EXPECT_TRUE(at::equal(got.logits(), expected.logits()));
  const auto gradients = got.gradients(prepared.cotangents, 0, {0}),
             of_kept = expected.gradients(prepared.cotangents, 0, {0});
  for (std::size_t i = 0; i < gradients.size(); ++i)
    for (std::size_t b = 0; b < kLengths.size(); ++b) EXPECT_TRUE(at::equal(gradients[i][b], of_kept[i][b]));
}

/// All rules together that can act on the architecture.
TEST_P(DecoderBackward, FollowsRules) {
  Prepared<double> prepared(GetParam());
  const DecoderConfig& config = prepared.config;
  const bool experts = std::ranges::any_of(config.layers, &LayerConfig::experts);
  std::vector<BackwardRule> names = {{"norm", "frozen"}, {"attention_product", "scaled", 0.5}};
  if (config.mlp.gated) names.push_back({"gate_product", "scaled", 0.25});
  if (!experts) names.push_back({"activation", "deeplift"});
  std::vector<Tensor> baselines;
  for (const Tensor& x : prepared.embeddings) baselines.push_back(prepared.random(x.sizes()));
  const TracedDecoder<double> traced = prepared.traced();
  const TracedDecoder<double> baseline(prepared.decoder, baselines, prepared.positions);
  const DecoderRules rules = read_rules(names, {&config}, experts ? nullptr : &baseline.trace());
  const auto got = traced.gradients(prepared.cotangents, 0, {0}, rules);
  for (std::size_t b = 0; b < kLengths.size(); ++b) {
    oracle::Rules reference{.frozen_norms = true, .product_factor = 0.5, .gate_factor = 0.25};
    const auto gates = prepared.reference.run(baselines[b], kLengths[b]).gates;
    if (!experts) reference.reference_gates = &gates;
    const auto expected =
        oracle::gradients(prepared.reference, prepared.embeddings[b], kLengths[b], prepared.positions[b],
                          prepared.cotangents[static_cast<std::int64_t>(b)], {0}, reference);
    for (std::size_t i = 0; i < got.size(); ++i)
      for (std::int64_t t = 0; t < kSteps; ++t)
        EXPECT_TRUE(relatively_near(got[i][b].select(1, t), expected[i].select(1, t), kTolerance<double>))
            << "text " << b << ", step " << t;
  }
}

std::string name_of(const ::testing::TestParamInfo<DecoderCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Cases, DecoderBackward, ::testing::ValuesIn(kCases), name_of);
INSTANTIATE_TEST_SUITE_P(ArchitectureLike, DecoderBackward, ::testing::ValuesIn(kArchitectureLike), name_of);

TEST(Embeddings, AreScaled) {
  for (const DecoderCase& of : kArchitectureLike) {
    const Prepared<double> prepared(of);
    const Tensor ids = at::tensor({3, 29, 0, 3}, at::kLong);
    EXPECT_TRUE(relatively_near(prepared.decoder.embed(ids), prepared.reference.embed(ids), 1e-15)) << of.name;
  }
}

TEST(DecoderPullBack, OfNoStepsIsNothing) {
  const Prepared<double> prepared(kCases.front());
  const TracedDecoder<double> traced(prepared.decoder, {prepared.embeddings[0]}, {{3, -1}});
  const PackedCotangents packed =
      pull_back<double>(prepared.decoder, /*encoder=*/nullptr, traced.trace(),
                        prepared.cotangents.narrow(0, 0, 1).narrow(1, 0, 1), /*first_step=*/1, {true, {0}}, {}, {})
          .target;
  EXPECT_EQ(packed.rows, 0);
  EXPECT_TRUE(packed.texts.empty());
}

}  // namespace
}  // namespace whence::transformer
