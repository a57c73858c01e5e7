// Rollouts against products of whole matrices.
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "decomposition_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::OnCheckpoint;
using testing::text;

constexpr const char* kDecoder = "qwen3";
constexpr const char* kSources[] = {"t5", "bart"};

Value real(double value) { return Value(value); }

/// Attention rollout from its definition.
Tensor by_definition(const OnCheckpoint& on, std::int64_t b, double residual, std::int64_t start = 0) {
  const auto mixed = [&](const BlockParts& block, const Tensor& weights, const Tensor& itself) {
    return block.layer < start ? itself : residual * itself + (1 - residual) * weights.mean(0);
  };
  return on.product(
      b,
      [&](const BlockParts& block) {
        return mixed(block, block.attention.weights, at::eye(block.attention.weights.size(1)));
      },
      [&](const BlockParts& block) {
        const bool skipped = block.layer < start;
        const Tensor weights = block.cross.weights.mean(0);
        return std::pair(at::full({weights.size(0)}, skipped ? 1.0 : residual),
                         skipped ? at::zeros(weights.sizes()) : (1 - residual) * weights);
      });
}

TEST(AttentionRollout, IsTheProductOfTheMatrices) {
  for (const char* architecture : {kDecoder, "bloom", kSources[0], kSources[1]}) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture);
    const Attribution got = on.attribute("attention_rollout");
    EXPECT_TRUE(got.granularity.empty());
    on.expect_rows(got, {by_definition(on, 0, 0.5), by_definition(on, 1, 0.5)});
    on.expect_columns_of_one(got);
    on.expect_rows(on.attribute("attention_rollout", {{"residual_weight", real(0.3)}, {"start_layer", number(1)}}),
                   {by_definition(on, 0, 0.3, 1), by_definition(on, 1, 0.3, 1)});
  }
}

TEST(AttentionRollout, FusesHeadsAndLeavesTheSmallestWeightsOut) {
  const OnCheckpoint on(kDecoder);
  const std::vector<BlockParts> blocks = on.blocks(0);
  for (const char* fusion : {"mean", "max", "min"}) {
    Tensor product = at::eye(on.rows(0));
    for (const BlockParts& block : blocks) {
      const Tensor weights = block.attention.weights;
      Tensor one = at::zeros({on.rows(0), on.rows(0)});
      for (std::int64_t i = 0; i < on.rows(0); ++i) {
        std::vector<std::pair<double, std::int64_t>> row;
        for (std::int64_t j = 0; j <= i; ++j) {
          const Tensor heads = weights.select(1, i).select(1, j);
          const Tensor fused = fusion == std::string("mean")  ? heads.mean()
                               : fusion == std::string("max") ? heads.max()
                                                              : heads.min();
          row.emplace_back(fused.item<double>(), j);
        }
        std::ranges::sort(row);
        double sum = 0;
        const auto dropped = static_cast<std::size_t>(0.4 * static_cast<double>(row.size()));
        for (std::size_t k = dropped; k < row.size(); ++k) sum += row[k].first;
        for (std::size_t k = dropped; k < row.size(); ++k) one[i][row[k].second] = row[k].first / sum;
      }
      product = at::matmul(0.5 * at::eye(on.rows(0)) + 0.5 * one, product);
    }
    const Attribution got =
        on.attribute("attention_rollout", {{"head_fusion", text(fusion)}, {"discard_ratio", real(0.4)}});
    for (std::int64_t t = 0; t < on.steps(0); ++t)
      EXPECT_TRUE(near(on.column(got, 0, t), product[on.position(0, t)], 1e-4, 1e-5)) << fusion;
  }
}

TEST(AttentionRollout, KeepsEveryLayerWhereThatIsAsked) {
  for (const char* architecture : {kDecoder, kSources[0]}) {
    const OnCheckpoint on(architecture);
    const Attribution layers = on.attribute("attention_rollout", {{"per_layer", Value(true)}});
    const Attribution last = on.attribute("attention_rollout");
    EXPECT_EQ(layers.granularity, std::vector<std::string>{"layer"});
    EXPECT_TRUE(near(layers.target.select(-1, on.layers() - 1), last.target));
    EXPECT_FALSE(near(layers.target.select(-1, 0), last.target));
    if (on.has_source()) {
      EXPECT_TRUE(near(layers.source.select(-1, on.layers() - 1), last.source));
    }
  }
}

/// Relevance of all rows from the lowest layer up, as the paper has it, with gradients gathered first.
TEST(GradientAttentionRollout, IsTheProductOfTheMatrices) {
  for (const char* architecture : {kDecoder, "gemma2", kSources[0], kSources[1]}) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture, "probability");
    std::vector<AttentionGradient> shown;
    on.problem().attention_gradients([&](const AttentionGradient& one) { shown.push_back(one); });
    std::ranges::reverse(shown);
    const Attribution got = on.attribute("gradient_attention_rollout");
    const Attribution itself = on.attribute("gradient_attention_rollout", {{"keep_itself", Value(true)}});
    double largest = 0;
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t t = 0; t < on.steps(b); ++t) {
        const std::int64_t s = on.source(b), size = s + on.rows(b), predicting = s + on.position(b, t);
        Tensor relevance = at::eye(size);
        for (const AttentionGradient& one : shown) {
          if (one.sequence != b || one.step != t) continue;
          const Tensor layer = (one.weights * one.gradients).clamp_min(0).mean(0);
          Tensor whole = at::zeros({size, size});
          whole.narrow(0, one.queries == Side::target ? s : 0, layer.size(0))
              .narrow(1, one.keys == Side::target ? s : 0, layer.size(1))
              .copy_(layer);
          relevance = relevance + at::matmul(whole, relevance);
        }
        Tensor expected = relevance[predicting];
        EXPECT_TRUE(near(on.column(itself, b, t), expected, 1e-4, 1e-7));
        expected[predicting] -= 1;
        EXPECT_TRUE(near(on.column(got, b, t), expected, 1e-4, 1e-7));
        largest = std::max(largest, expected.max().item<double>());
      }
    EXPECT_GT(largest, 0);
  }
}

TEST(ValueZeroingRollout, IsTheProductOfTheMatrices) {
  // Steps at all tokens give the scores of all rows.
  const OnCheckpoint all(kDecoder, "logit", {1, 8}), on(kDecoder);
  const Tensor scores = all.attribute("value_zeroing").target[0];  // [L,T,N]
  Tensor product = at::eye(7);
  for (std::int64_t n = 0; n < on.layers(); ++n) product = at::matmul(scores.select(2, n).narrow(0, 0, 7).t(), product);
  const Attribution got = on.attribute("value_zeroing_rollout");
  EXPECT_TRUE(got.granularity.empty());
  for (std::int64_t t = 0; t < on.steps(0); ++t)
    EXPECT_TRUE(near(on.column(got, 0, t), product[on.position(0, t)], 1e-4, 1e-5));
  on.expect_columns_of_one(got);
}

}  // namespace
}  // namespace whence
