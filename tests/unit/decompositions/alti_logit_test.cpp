// What ALTI-Logit attributes is the logit, part by part.
#include "decomposition_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::OnCheckpoint;
using testing::text;

Attribution all_parts(const OnCheckpoint& on, bool per_layer = false) {
  return on.attribute("alti_logit", {{"parts", text("all")}, {"per_layer", Value(per_layer)}});
}

/// [B,T] over all tokens.
Tensor sums(const Attribution& attribution) {
  const Tensor target = attribution.target.sum(1);
  return attribution.source.defined() ? target + attribution.source.sum(1) : target;
}

TEST(AltiLogit, AddsUpToTheLogitWhereThereAreNoBiases) {
  for (const char* architecture : {"llama", "qwen3", "olmo2", "mixtral", "gptj", "granite", "t5"}) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture);
    const Tensor scores = on.problem().scores();
    const Attribution got = all_parts(on);
    const double size = scores.abs().max().item<double>();
    if (architecture != std::string("gptj")) {  // whose head and norms have biases
      EXPECT_LE((sums(got) - scores).abs().max().item<double>(), 2e-4 * size);
      EXPECT_LE(got.step_scores.at("constant").abs().max().item<double>(), 2e-4 * size);
    }
    EXPECT_TRUE(near(sums(got) + got.step_scores.at("constant"), scores, 1e-4, 1e-4 * size));
  }
}

TEST(AltiLogit, OfTheAttentionLeavesTheOtherPartsAsStepScores) {
  for (const char* architecture : {"qwen3", "gpt2", "bart"}) {
    const OnCheckpoint on(architecture);
    const Attribution attention = on.attribute("alti_logit"), all = all_parts(on);
    const auto& rest = attention.step_scores;
    EXPECT_TRUE(near(rest.at("constant"), all.step_scores.at("constant"), 1e-3, 1e-4));
    EXPECT_TRUE(near(sums(attention) + rest.at("network") + rest.at("embedding"), sums(all), 1e-3, 1e-4));
    EXPECT_GT(rest.at("network").abs().max().item<double>(), 0);
  }
}

TEST(AltiLogit, FollowsItsFormula) {
  for (const char* architecture : {"qwen3", "opt_post_norm_projected"}) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture);
    const Attribution got = on.attribute("alti_logit", {{"per_layer", Value(true)}});
    EXPECT_EQ(got.granularity, std::vector<std::string>{"layer"});
    const StreamDirections directions = on.problem().directions("test");
    const std::vector<BlockParts> blocks = on.blocks(0);
    // Shares below each layer: none is mixed below the first, and above it ALTI says.
    const Tensor below =
        OnCheckpoint(architecture, "logit", {1, 8}).attribute("alti", {{"per_layer", Value(true)}}).target[0];
    for (std::int64_t t = 0; t < on.steps(0); ++t)
      for (const BlockParts& block : blocks) {
        const std::int64_t i = on.position(0, t);
        const Tensor direction = directions.blocks[static_cast<std::size_t>(block.layer)].attention[0][t];
        Tensor expected = at::zeros({on.rows(0)});
        for (std::int64_t j = 0; j <= i; ++j) {
          const double added = (block.attention.of_positions(i, 1)[0][j] * direction).sum().item<double>();
          if (block.layer == 0)
            expected[j] += added;
          else
            expected += added * below.narrow(0, 0, on.rows(0)).select(1, j).select(1, block.layer - 1);
        }
        EXPECT_TRUE(near(on.column(got, 0, t).select(1, block.layer), expected, 1e-3, 1e-5));
      }
    EXPECT_TRUE(near(got.target.sum(-1), on.attribute("alti_logit").target, 1e-4, 1e-5));
  }
}

/// In a stack without norms of the stream all parts are read by the head alone.
TEST(AltiLogit, TakesDirectionsFromTheHeadAlone) {
  const OnCheckpoint on("qwen3");
  const StreamDirections directions = on.problem().directions("test");
  for (const BlockDirections& block : directions.blocks) {
    EXPECT_TRUE(near(block.attention, directions.input, 0, 0));
    EXPECT_TRUE(near(block.output, directions.input, 0, 0));
  }
}

}  // namespace
}  // namespace whence
