#include "host/state_alignment.h"

#include <ATen/ops/exp.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/fake_model.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::FakeModel;
using testing::FakeTokenizer;
using Partners = std::vector<std::int64_t>;

TEST(MutualAlignment, IsTheProductOfBothSoftmaxesWhereBothCount) {
  const Tensor alike = at::tensor({4.0F, 0.0F, 1.0F, 9.0F}).view({2, 2});
  const Tensor found = mutual_alignment(alike);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(found[0][0].item<double>(), sigmoid(4) * sigmoid(3), 1e-6);
  EXPECT_NEAR(found[1][1].item<double>(), sigmoid(8) * sigmoid(9), 1e-6);
  EXPECT_EQ(found[0][1].item<double>(), 0) << "a softmax of e^-9 is below 1e-3";
  EXPECT_EQ(found[1][0].item<double>(), 0) << "one of e^-8 is, too";
}

TEST(AlignByStates, FollowsTokensToOtherPlaces) {
  const FakeModel model;
  const FakeTokenizer tokenizer(FakeModel::kVocabulary);
  // At layer 0 states are embeddings, so that a token is most like itself wherever it stands.
  EXPECT_EQ(align_by_states(model, 0, tokenizer, {3, 7, 9}, {9, 3, 7}), (Partners{1, 2, 0}));
  EXPECT_EQ(align_by_states(model, 0, tokenizer, {3, 7, 9}, {3, 7, 9}), (Partners{0, 1, 2}));
}

TEST(AlignByStates, PairsSpecialTokensByThemselves) {
  const FakeModel model;
  const FakeTokenizer tokenizer(FakeModel::kVocabulary);
  EXPECT_EQ(align_by_states(model, 0, tokenizer, {0, 3, 1}, {0, 1}), (Partners{0, -1, 1}));
  EXPECT_EQ(align_by_states(model, 0, tokenizer, {0, 3, 1}, {0, 9, 3, 1}), (Partners{0, 2, 3}));
}

TEST(AlignByStates, RefusesLayersThatThereAreNot) {
  const FakeModel model;
  const FakeTokenizer tokenizer(FakeModel::kVocabulary);
  EXPECT_EQ(testing::text_of_error<ConfigError>([&] { align_by_states(model, 3, tokenizer, {3}, {3}); }),
            "the aligner 'fake' has no layer 3; expected 0 to 2");
  EXPECT_EQ(testing::text_of_error<InputError>(
                [&] { align_by_states(model, 0, tokenizer, TokenIds(65, 3), TokenIds(2, 3)); }),
            "a text to align has 65 tokens, the context of the aligner 'fake' holds 64; choose another alignment");
}

}  // namespace
}  // namespace whence::host
