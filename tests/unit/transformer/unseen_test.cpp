// Positions that attention passes over. Where positions are relative, a text whose beginning is passed over gives
// the logits of the text without it.
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

const TokenIds kText = {1, 17, 5, 40, 33, 8, 21, 60, 12, 7, 3};
constexpr std::int64_t kUnseen = 4;

TokenIds rest(const TokenIds& ids, std::int64_t first) { return {ids.begin() + first, ids.end()}; }

/// A batch of one text whose first positions are passed over.
PaddedIds beginning_unseen(const TokenIds& ids) {
  PaddedIds batch = pad({ids});
  batch.unseen = at::zeros(batch.ids.sizes(), at::kBool);
  batch.unseen.narrow(1, 0, kUnseen).fill_(true);
  return batch;
}

class Unseen : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(request_for_own(GetParam()));
};

TEST_P(Unseen, BeginningsAreAsIfTheyWereNotThere) {
  const Tensor whole = model->forward({beginning_unseen(kText)}, {positions({{5, 8, 10}})}).logits;
  const Tensor alone = model->forward({pad({rest(kText, kUnseen)})}, {positions({{1, 4, 6}})}).logits;
  EXPECT_TRUE(testing::near(whole, alone, 1e-4, 1e-5));
}

TEST_P(Unseen, BeginningsHaveNoGradient) {
  const Forward whole = model->forward({beginning_unseen(kText)}, {positions({{5, 10}}), false, false, /*trace=*/true});
  const Forward alone = model->forward({pad({rest(kText, kUnseen)})}, {positions({{1, 6}}), false, false, true});
  const Tensor got = model->pull_back(whole, {whole.logits}, {}).target;
  const Tensor expected = model->pull_back(alone, {alone.logits}, {}).target;
  EXPECT_TRUE(testing::near(got.narrow(1, 0, kUnseen), at::zeros_like(got.narrow(1, 0, kUnseen)), 0, 0));
  EXPECT_TRUE(testing::near(got.slice(1, kUnseen), expected, 1e-3, 1e-4 * expected.abs().max().item<double>()));
}

TEST_P(Unseen, GoWithSharedPrefixes) {
  const Forward base = model->forward({pad({kText})}, {positions({{-1}}), false, false, false, /*keep_prefix=*/true});
  PaddedIds batch = pad({kText});
  batch.unseen = at::zeros(batch.ids.sizes(), at::kBool);
  batch.unseen[0][5] = batch.unseen[0][8] = true;
  const Tensor whole = model->forward({batch}, {positions({{5, 7, 10}})}).logits;
  ForwardRequest request{positions({{5, 7, 10}})};
  request.shared = {&base, at::tensor({0}, at::kLong), at::tensor({5}, at::kLong)};
  EXPECT_TRUE(testing::near(model->forward({batch}, request).logits, whole, 1e-6, 1e-6));
  EXPECT_FALSE(testing::near(model->forward({pad({kText})}, {positions({{5, 7, 10}})}).logits, whole, 1e-6, 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Models, Unseen,
                         ::testing::Values("mistral_window", "qwen3", "llama_gguf", "gemma2_gguf", "mpt_gguf"),
                         [](const auto& info) { return std::string(info.param); });

TEST(UnseenSource, BeginningsAreAsIfTheyWereNotThere) {
  const auto model = load_model(case_model("t5"));  // relative positions
  const PaddedIds target = pad({{0, 9, 4, 7}});
  const Tensor asked = positions({{1, 3}});
  const Tensor got = model->forward({target, beginning_unseen(kText)}, {asked}).logits;
  EXPECT_TRUE(testing::near(got, model->forward({target, pad({rest(kText, kUnseen)})}, {asked}).logits, 1e-4, 1e-5));
}

TEST(UnseenPositions, OfARowThatSeesNothingElseMixNothing) {
  const auto model = load_model(own_model("qwen3"));
  PaddedIds batch = pad({kText});
  batch.unseen = at::ones(batch.ids.sizes(), at::kBool);
  const Forward forward = model->forward({batch}, {positions({{10}}), /*attentions=*/true});
  EXPECT_TRUE(at::isfinite(forward.logits).all().item<bool>());
  EXPECT_EQ(forward.target_attentions.abs().max().item<double>(), 0);
}

TEST(UnseenPositions, MustFitTheIds) {
  const auto model = load_model(own_model("qwen3"));
  PaddedIds batch = pad({kText});
  batch.unseen = at::zeros({1, 3}, at::kBool);
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>([&] { model->forward({batch}, {positions({{3}})}); }),
            "expected unseen positions [B,L] of bool that fit the ids");
}

}  // namespace
}  // namespace whence::transformer
