// ALTI and information flow routes against their formulas, written out for every row, token and head.
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "decomposition_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::OnCheckpoint;
using testing::text;

constexpr const char* kArchitectures[] = {
    "qwen3", "gpt2", "olmo2", "gemma2", "opt_post_norm_projected", "gptj", "mixtral", "bloom_residual_after_norm",
    "t5",    "bart"};

Tensor l1(const Tensor& x) { return x.abs().sum(-1); }

/// max(0, |y| - |y - part|) of every part.
Tensor near_to(const std::vector<Tensor>& parts, const Tensor& whole) {
  std::vector<Tensor> result;
  for (const Tensor& part : parts) result.push_back((l1(whole) - l1(whole - part)).clamp_min(0));
  return at::stack(result);
}

Tensor part_of(const AttentionParts& parts, std::int64_t head, std::int64_t i, std::int64_t j) {
  return parts.weights[head][i][j] * parts.scale[i] * parts.vectors[head][j];
}

Tensor all_heads(const AttentionParts& parts, std::int64_t i, std::int64_t j) {
  Tensor sum = at::zeros_like(parts.output[i]);
  for (std::int64_t h = 0; h < parts.weights.size(0); ++h) sum += part_of(parts, h, i, j);
  return sum;
}

/// Shares of positions [L,K] and, for a source, of the row itself [L].
std::pair<Tensor, Tensor> alti(const AttentionParts& parts, bool own) {
  const std::int64_t rows = parts.weights.size(1), keys = parts.weights.size(2);
  Tensor shares = at::zeros({rows, keys}), kept = at::zeros({rows});
  for (std::int64_t i = 0; i < rows; ++i) {
    std::vector<Tensor> each;
    for (std::int64_t j = 0; j < keys; ++j)
      each.push_back(all_heads(parts, i, j) + (own && i == j ? parts.kept[i] : at::zeros_like(parts.kept[i])));
    if (!own) each.push_back(parts.kept[i]);
    Tensor near = near_to(each, parts.output[i]);
    if (near.sum().item<double>() == 0) near[own ? i : keys] = 1;  // such a row is all its own
    shares[i].copy_((near / near.sum()).narrow(0, 0, keys));
    if (!own) kept[i] = (near / near.sum())[keys];
  }
  return {shares, kept};
}

/// Importances [H,K] of the edges into one row, and [] of what is kept; those up to a threshold left out.
std::pair<Tensor, Tensor> edges(const std::vector<Tensor>& parts, const Tensor& kept, const Tensor& output,
                                double threshold) {
  std::vector<Tensor> each = parts;
  each.push_back(kept);
  const Tensor near = near_to(each, output);
  Tensor shares = near / near.sum();
  shares = shares.masked_fill(shares <= threshold, 0);
  shares = shares / shares.sum();
  return {shares.narrow(0, 0, std::ssize(parts)), shares[std::ssize(parts)]};
}

std::vector<Tensor> head_parts(const AttentionParts& parts, std::int64_t i) {
  std::vector<Tensor> result;
  for (std::int64_t h = 0; h < parts.weights.size(0); ++h)
    for (std::int64_t j = 0; j < parts.weights.size(2); ++j) result.push_back(part_of(parts, h, i, j));
  return result;
}

TEST(Alti, IsTheProductOfItsShares) {
  for (const char* architecture : kArchitectures) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture);
    std::vector<Tensor> products;
    for (std::int64_t b = 0; b < 2; ++b)
      products.push_back(on.product(
          b, [](const BlockParts& block) { return alti(block.attention, true).first; },
          [](const BlockParts& block) {
            const auto [shares, kept] = alti(block.cross, false);
            return std::pair(kept, shares);
          }));
    const Attribution got = on.attribute("alti");
    on.expect_rows(got, products);
    on.expect_columns_of_one(got);
    on.expect_columns_of_one(on.attribute("alti", {{"distance", text("l2")}}));
  }
}

TEST(InformationFlowRoutes, AreTheProductOfTheirEdges) {
  for (const char* architecture : {"qwen3", "gpt2", "t5"})
    for (const double threshold : {0.0, 0.04}) {
      SCOPED_TRACE(::testing::Message() << architecture << ", threshold " << threshold);
      const OnCheckpoint on(architecture);
      const auto mixed = [&](const AttentionParts& parts) {
        const std::int64_t rows = parts.weights.size(1), keys = parts.weights.size(2);
        Tensor from = at::zeros({rows, keys}), kept = at::zeros({rows});
        for (std::int64_t i = 0; i < rows; ++i) {
          const auto [heads, rest] = edges(head_parts(parts, i), parts.kept[i], parts.output[i], threshold);
          from[i].copy_(heads.view({-1, keys}).sum(0));
          kept[i] = rest;
        }
        return std::pair(kept, from);
      };
      std::vector<Tensor> products;
      for (std::int64_t b = 0; b < 2; ++b)
        products.push_back(on.product(
            b,
            [&](const BlockParts& block) {
              const auto [kept, from] = mixed(block.attention);
              return from + at::diag_embed(kept);
            },
            [&](const BlockParts& block) { return mixed(block.cross); }));
      const Attribution got = on.attribute("information_flow_routes", {{"threshold", Value(threshold)}});
      on.expect_rows(got, products);
      on.expect_columns_of_one(got);
    }
}

TEST(InformationFlowEdges, AreTheImportancesOfEachRow) {
  for (const char* architecture : {"qwen3", "bart"}) {
    SCOPED_TRACE(architecture);
    const OnCheckpoint on(architecture);
    const Attribution got = on.attribute("information_flow_edges");
    EXPECT_EQ(got.granularity, (std::vector<std::string>{"layer", "head"}));
    const std::vector<BlockParts> blocks = on.blocks(0);
    for (std::int64_t t = 0; t < on.steps(0); ++t)
      for (const BlockParts& block : blocks) {
        const auto expect = [&](const AttentionParts& parts, const Tensor& result) {
          const std::int64_t i = on.position(0, t), keys = parts.weights.size(2);
          const auto [heads, kept] = edges(head_parts(parts, i), parts.kept[i], parts.output[i], 0);
          EXPECT_TRUE(near(result[0].narrow(0, 0, keys).select(1, t).select(1, block.layer).t(), heads.view({-1, keys}),
                           1e-4, 1e-6));
          EXPECT_NEAR(heads.sum().item<double>() + kept.item<double>(), 1, 1e-5);
        };
        expect(block.attention, got.target);
        if (block.cross.defined()) expect(block.cross, got.source);
      }
  }
}

/// Edges into the sum of the rows of a step and of those before it.
TEST(InformationFlowSpan, TakesTheRowsUpToEachStepAsOne) {
  const OnCheckpoint on("qwen3");
  const Attribution got = on.attribute("information_flow_span"), single = on.attribute("information_flow_edges");
  EXPECT_TRUE(near(got.target.select(2, 0), single.target.select(2, 0)));
  for (const BlockParts& block : on.blocks(0)) {
    const AttentionParts& parts = block.attention;
    std::vector<Tensor> sums;
    Tensor kept = at::zeros_like(parts.kept[0]), output = kept.clone();
    for (std::int64_t t = 0; t < on.steps(0); ++t) {
      const std::int64_t i = on.position(0, t);
      const std::vector<Tensor> own = head_parts(parts, i);
      for (std::size_t k = 0; k < own.size(); ++k)
        t == 0 ? sums.push_back(own[k]) : static_cast<void>(sums[k] = sums[k] + own[k]);
      kept += parts.kept[i];
      output += parts.output[i];
      const Tensor expected = edges(sums, kept, output, 0).first.view({-1, on.rows(0)});
      EXPECT_TRUE(near(on.column(got, 0, t).select(1, block.layer).t(), expected, 1e-4, 1e-6)) << "step " << t;
    }
  }
}

}  // namespace
}  // namespace whence
