#include "problem_fixture.h"

namespace whence {
namespace {

class AttentionMethod : public testing::MethodTest {};

TEST_F(AttentionMethod, TakesTheRowThatPredictsTheStep) {
  const Problem decoder = problem();
  const Attribution attribution = attribute(decoder, "attention");
  EXPECT_EQ(attribution.granularity, (std::vector<std::string>{"layer", "head"}));
  const Tensor weights = decoder.observe({.attentions = true}).target_attentions;  // [B,N,H,L,L]
  ASSERT_EQ(attribution.target.sizes(), (at::IntArrayRef{2, 6, 3, 2, 2}));
  // Step 1 of sequence 0 explains position 4: the query is position 3.
  for (std::int64_t r = 0; r < 6; ++r)
    EXPECT_TRUE(testing::near(attribution.target[0][r][1], weights[0].select(2, 3).select(2, r))) << "row " << r;
}

TEST_F(AttentionMethod, ColumnsAddUpToOneWhereThereIsAStep) {
  const Problem decoder = problem();
  const Tensor sums = attribute(decoder, "attention").target.sum(1);  // [B,T,N,H]
  const Tensor expected = decoder.step_mask().to(at::kFloat).view({2, 3, 1, 1}).expand({2, 3, 2, 2});
  EXPECT_TRUE(testing::near(sums, expected));
}

TEST_F(AttentionMethod, EncoderDecoderGivesCrossAttentionToTheSource) {
  const Problem both = problem("probability", true);
  const Attribution attribution = attribute(both, "attention");
  ASSERT_EQ(attribution.source.sizes(), (at::IntArrayRef{2, 4, 5, 2, 2}));
  EXPECT_TRUE(testing::near(attribution.source[0].select(1, 0).select(1, 0).select(1, 0),
                            testing::numbers({4}, {1.f / 3, 1.f / 3, 1.f / 3, 0})));
  EXPECT_TRUE(attribution.target.defined());
  EXPECT_EQ(attribution.sequence_scores.count("decoder_self_attentions"), 0u);
  EXPECT_EQ(attribution.sequence_scores.at("encoder_self_attentions").sizes(), (at::IntArrayRef{2, 4, 4, 2, 2}));
}

TEST_F(AttentionMethod, KeepsSelfAttentionAsAMapWhenTheTargetIsNotAttributed) {
  const Problem source_only = problem("probability", true, false);
  const Attribution attribution = attribute(source_only, "attention");
  EXPECT_FALSE(attribution.target.defined());
  const Tensor map = attribution.sequence_scores.at("decoder_self_attentions");
  const Tensor weights = source_only.observe({.attentions = true}).target_attentions;
  EXPECT_TRUE(testing::near(map[0][1][3], weights[0].select(2, 3).select(2, 1)));
}

}  // namespace
}  // namespace whence
