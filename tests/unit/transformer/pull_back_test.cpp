// Gradients of all steps against finite differences, and what must hold for them exactly.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}};
const std::vector<std::vector<std::int64_t>> kAsked = {{3, 8, 5}, {0, 5, -1}};

Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed));
}

class PullBack : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(own_model(GetParam()));
  Inputs inputs{pad(kTexts)};
  ForwardRequest request{positions(kAsked), false, false, /*trace=*/true};
  Tensor embeddings = random({2, 9, model->info().hidden}, 3);
  Tensor cotangents = random({2, 3, model->info().vocabulary}, 4);

  PullBack() { inputs.target_embeddings = embeddings; }

  Tensor gradients() const {
    const Forward forward = model->forward(inputs, request);
    return model->pull_back(forward, {cotangents}, {}).target;
  }
};

TEST_P(PullBack, AgreesWithFiniteDifferences) {
  const Tensor gradient = gradients();
  ASSERT_EQ(gradient.sizes(), at::IntArrayRef({2, 9, 3, model->info().hidden}));
  const double step = 4e-3;
  for (std::int64_t l = 0; l < 9; ++l) {
    const Tensor direction = random({2, model->info().hidden}, 10 + static_cast<std::uint64_t>(l));
    const auto score = [&](double scale) {
      Inputs moved = inputs;
      moved.target_embeddings = embeddings.clone();
      moved.target_embeddings.select(1, l) += scale * direction;
      return (model->forward(moved, {request.positions}).logits * cotangents).sum(-1).to(at::kDouble);
    };
    const Tensor expected = (score(step) - score(-step)) / (2 * step);
    const Tensor got = (gradient.select(1, l) * direction.unsqueeze(1)).sum(-1).to(at::kDouble);
    EXPECT_TRUE(testing::near(got, expected, 2e-2, 2e-2)) << "position " << l;
  }
}

TEST_P(PullBack, IsZeroWhereAPositionCannotMatter) {
  const Tensor gradient = gradients();
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t t = 0; t < 3; ++t)
      for (std::int64_t l = 0; l < 9; ++l) {
        const bool may_matter = l <= kAsked[static_cast<std::size_t>(b)][static_cast<std::size_t>(t)];
        EXPECT_EQ(gradient[b][l][t].abs().max().item<double>() > 0, may_matter) << b << ' ' << l << ' ' << t;
      }
}

TEST_P(PullBack, MayBeRepeatedOnOneTrace) {
  const Forward forward = model->forward(inputs, request);
  const Tensor first = model->pull_back(forward, {cotangents}, {}).target;
  const Tensor doubled = model->pull_back(forward, {2 * cotangents}, {}).target;
  EXPECT_TRUE(testing::near(doubled, 2 * first, 1e-5, 1e-5));
  EXPECT_TRUE(testing::near(model->pull_back(forward, {cotangents}, {}).target, first, 0, 0));
}

TEST_P(PullBack, StepsDoNotMix) {
  const Forward forward = model->forward(inputs, request);
  Tensor alone = cotangents.clone();
  alone.select(1, 0).zero_();
  alone.select(1, 2).zero_();
  const Tensor gradient = model->pull_back(forward, {alone}, {}).target;
  EXPECT_TRUE(testing::near(gradient.select(2, 1), gradients().select(2, 1), 1e-5, 1e-6));
  EXPECT_EQ(gradient.select(2, 0).abs().max().item<double>(), 0);
  EXPECT_EQ(gradient.select(2, 2).abs().max().item<double>(), 0);
}

TEST_P(PullBack, WorksUnderEveryGradMode) {
  const Tensor expected = gradients();
  {
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(testing::near(gradients(), expected, 0, 0));
  }
  const c10::InferenceMode inference;
  EXPECT_TRUE(testing::near(gradients(), expected, 0, 0));
}

INSTANTIATE_TEST_SUITE_P(Models, PullBack, ::testing::Values("mistral_window", "qwen3", "llama_bias"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Forward, WithoutATraceKeepsNoGraph) {
  const auto model = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad(kTexts)}, {positions(kAsked), false, true});
  EXPECT_EQ(forward.trace, nullptr);
  EXPECT_FALSE(forward.logits.requires_grad());
  for (const auto& states : forward.layer_states) EXPECT_FALSE(states.requires_grad());
  EXPECT_EQ(testing::text_of_error([&] { model->pull_back(forward, {forward.logits}, {}); }),
            "pull_back needs a forward pass of this model that was asked for a trace");
}

TEST(Forward, TraceServesItsOwnModelOnly) {
  const auto model = load_model(own_model("qwen3")), other = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad(kTexts)}, {positions(kAsked), false, false, true});
  EXPECT_EQ(testing::text_of_error([&] { other->pull_back(forward, {forward.logits}, {}); }),
            "pull_back needs a forward pass of this model that was asked for a trace");
}

TEST(Forward, RefusesABackwardRuleThatItDoesNotKnow) {
  const auto model = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad(kTexts)}, {positions(kAsked), false, false, true});
  PullBackRequest request;
  request.rules = {{"norm", "rescale"}};
  EXPECT_THROW(model->pull_back(forward, {forward.logits}, request), UnknownName);
}

TEST(Forward, AsksNothingOfPositionMinusOne) {
  const auto model = load_model(own_model("qwen3"));
  const Tensor logits = model->forward({pad(kTexts)}, {positions(kAsked)}).logits;
  EXPECT_EQ(logits[1][2].abs().max().item<double>(), 0);
  EXPECT_GT(logits[1][1].abs().max().item<double>(), 0);
  EXPECT_EQ(model->forward({pad(kTexts)}, {positions({{-1}, {-1}})}).logits.abs().max().item<double>(), 0);
}

TEST(Forward, TakesEmbeddingsInPlaceOfIds) {
  const auto model = load_model(own_model("qwen3"));
  Inputs inputs{pad({kTexts[0]})};
  const Tensor expected = model->forward(inputs, {positions({{2, 8}})}).logits;
  inputs.target_embeddings = model->embed(inputs.target.ids, Side::target);
  inputs.target.ids = inputs.target.ids * 0;
  EXPECT_TRUE(testing::near(model->forward(inputs, {positions({{2, 8}})}).logits, expected, 0, 0));
}

TEST(Forward, NeverLooksAtPaddedPositions) {
  const auto model = load_model(own_model("mistral_window"));
  Inputs inputs{pad(kTexts)};
  inputs.target_embeddings = random({2, 9, model->info().hidden}, 3);
  const ForwardRequest request{positions(kAsked), true, true, true};
  const Forward clean = model->forward(inputs, request);
  inputs.target_embeddings[1].narrow(0, 6, 3).fill_(testing::kNan);
  const Forward padded = model->forward(inputs, request);
  EXPECT_TRUE(testing::near(padded.logits, clean.logits, 0, 0));
  EXPECT_FALSE(padded.target_attentions.isnan().any().item<bool>());
  const Tensor gradient = model->pull_back(padded, {padded.logits}, {}).target;
  EXPECT_FALSE(gradient.isnan().any().item<bool>());
}

TEST(Forward, RefusesWhatIsNotInTheModel) {
  const auto model = load_model(own_model("qwen3"));
  const auto error = [&](const PaddedIds& ids, const Tensor& asked) {
    return testing::text_of_error([&] { model->forward({ids}, {asked}); });
  };
  EXPECT_EQ(error(pad({{1, 64}}), positions({{0}})), "token id 64 is outside the vocabulary; expected 0 to 63");
  EXPECT_EQ(error(pad({{1, 2}}), positions({{2}})), "sequence 0: position 2 is outside the text; expected 0 to 1");
  EXPECT_EQ(error(pad({{1}, {}}), positions({{0}, {0}})), "sequence 1: expected at least one token, found none");
  EXPECT_EQ(error(pad({TokenIds(33, 1)}), positions({{0}})),
            "sequence 0: expected at most the model's 32 tokens, found 33; shorten the text");
  EXPECT_EQ(testing::text_of_error([&] { model->embed(pad({{1}}).ids, Side::source); }),
            "a decoder-only model has no source to embed");
}

}  // namespace
}  // namespace whence::transformer
