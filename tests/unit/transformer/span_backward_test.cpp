// Steps whose cotangents are carried as one, on stored checkpoints, against the sum of those of each step.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "random_decoder.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kTogether = 3;
const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}, {3, 4}};
const std::vector<TokenIds> kSources = {{4, 22, 9, 13, 2}, {31, 7, 2}, {5, 2}};
/// Two scores of three steps each: neighbours, rows that lie apart, of both texts as one, with steps that are not
/// there.
const std::vector<std::vector<std::int64_t>> kRead = {
    {0, 1, 2, 8, 4, 6}, {5, 2, -1, 1, -1, -1}, {-1, -1, -1, 0, -1, -1}};

class SpanBackward : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model =
      load_model(std::filesystem::exists(case_model(GetParam())) ? request_for(case_model(GetParam()))
                                                                 : request_for_own(GetParam()));
  const bool has_source = model->info().kind == ModelKind::encoder_decoder;
  RandomTensors random{at::kFloat};
  Tensor cotangents = random({3, 6, model->info().vocabulary});

  Inputs inputs() const {
    Inputs inputs{pad(kTexts)};
    if (has_source) inputs.source = pad(kSources);
    return inputs;
  }
  PullBackRequest everywhere() const {
    PullBackRequest request;
    request.source = has_source;
    for (std::int64_t block = 0; block <= model->info().layers; ++block)
      request.layers.push_back({Side::target, block});
    for (std::int64_t block = 0; has_source && block <= model->info().encoder_layers; ++block)
      request.layers.push_back({Side::source, block});
    return request;
  }
  /// Neighbouring steps [B,rows,6,D] added up.
  static Tensor added(const Tensor& steps) { return steps.unflatten(2, {-1, kTogether}).sum(3); }
  /// Within float rounding of the largest number.
  static void expect_same(const Tensor& got, const Tensor& expected) {
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_LE((got - expected).abs().max().item<double>(), 2e-5 * expected.abs().max().item<double>());
  }
};

TEST_P(SpanBackward, IsTheSumOverItsSteps) {
  const Forward forward = model->forward(inputs(), {positions(kRead), false, false, /*trace=*/true});
  const Gradients each = model->pull_back(forward, {cotangents}, everywhere());
  const Gradients got = model->pull_back(forward, {cotangents, 0, kTogether}, everywhere());
  expect_same(got.target, added(each.target));
  if (has_source) expect_same(got.source, added(each.source));
  ASSERT_EQ(got.layers.size(), each.layers.size());
  for (std::size_t i = 0; i < got.layers.size(); ++i) expect_same(got.layers[i], added(each.layers[i]));
  const Gradients second =
      model->pull_back(forward, {cotangents.narrow(1, kTogether, kTogether), kTogether, kTogether}, everywhere());
  expect_same(second.target, got.target.narrow(2, 1, 1));
}

TEST_P(SpanBackward, CarriesTheRowsUpToItsLastStepOnce) {
  const Forward forward = model->forward(inputs(), {positions(kRead), false, false, /*trace=*/true});
  const Work before = model->work();
  model->pull_back(forward, {cotangents, 0, kTogether}, everywhere());
  const Work done = model->work() - before;
  EXPECT_EQ(done.backward_passes, 1);
  EXPECT_EQ(done.backward_rows, (3 + 9) + (6 + 2) + 1 + (has_source ? 2 * 5 + 2 * 3 + 2 : 0));
}

TEST_P(SpanBackward, EndsAtTheFirstChangedRow) {
  const Inputs texts = inputs();
  const Forward base =
      model->forward(texts, {positions({{-1}, {-1}, {-1}}), false, false, false, /*keep_prefix=*/true});
  ForwardRequest request{positions({{-1, 3, 4, 8, 3, 6}, {5, 2, -1, -1, -1, -1}, {1, -1, -1, -1, -1, -1}}), false,
                         false,
                         /*trace=*/true};
  request.shared = {&base, at::tensor({0, 1, 2}, at::kLong), at::tensor({3, 2, 1}, at::kLong)};
  const Forward forward = model->forward(texts, request);
  const PullBackRequest ends{.first_changed_only = true};
  expect_same(model->pull_back(forward, {cotangents, 0, kTogether}, ends).target,
              added(model->pull_back(forward, {cotangents}, ends).target));
}

TEST_P(SpanBackward, RefusesWhatCannotBeCarriedAsOne) {
  const Forward forward = model->forward(inputs(), {positions(kRead), false, false, /*trace=*/true});
  const std::string error = "expected a number of steps that is a multiple of those together, without attentions";
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>([&] { model->pull_back(forward, {cotangents, 0, 4}, {}); }),
            error);
  PullBackRequest attentions;
  attentions.attentions = [](const AttentionGradient&) {};
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>(
                [&] { model->pull_back(forward, {cotangents, 0, kTogether}, attentions); }),
            error);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, SpanBackward,
                         ::testing::Values("llama", "gpt2", "qwen3", "qwen2_window", "mixtral_gguf", "marian", "t5",
                                           "bart"));

}  // namespace
}  // namespace whence::transformer
