// Blocks in parts: that they add up to what the blocks do, for every architecture, and that each is what it is said to
// be, against autograd.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "architecture_cases.h"
#include "by_autograd.h"
#include "checkpoint_oracle.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr double kNear = 2e-5;

const BlockDecomposition& decomposition(const Model& model) {
  return *static_cast<const BlockDecomposition*>(model.query(BlockDecomposition::kCapability));
}

/// All that is shown, by side, layer and sequence.
using Shown = std::map<std::tuple<Side, std::int64_t, std::int64_t>, BlockParts>;

Shown shown(const Model& model, const Inputs& inputs, const Tensor& positions, bool weights_only = false) {
  Shown blocks;
  decomposition(model).decompose(inputs, {positions, weights_only}, [&](const BlockParts& block) {
    EXPECT_TRUE(blocks.insert({{block.side, block.layer, block.sequence}, block}).second) << "shown twice";
  });
  return blocks;
}

Tensor sum_of(const AttentionParts& parts) {
  return parts.of_positions(0, parts.weights.size(1)).sum(1) + parts.kept + parts.constant;
}

class DecomposedArchitectures : public ::testing::TestWithParam<const char*> {
 protected:
  ArchitectureCase stored{GetParam()};
  ModelRequest request = request_for(stored.folder());
  std::unique_ptr<Model> model = load_model(request);
  bool has_source = stored.has("source_ids");
  std::vector<TokenIds> targets = stored.texts("ids", "lengths"),
                        sources = has_source ? stored.texts("source_ids", "source_lengths") : std::vector<TokenIds>{};
  Inputs inputs{pad(targets), has_source ? pad(sources) : PaddedIds{}};
  Tensor all = positions(asked());

  /// Some steps of every text, the last of its tokens among them.
  std::vector<std::vector<std::int64_t>> asked() const {
    std::vector<std::vector<std::int64_t>> rows;
    for (const TokenIds& text : targets) rows.push_back({std::ssize(text) - 1, 0, std::ssize(text) / 2, -1});
    return rows;
  }
};

TEST_P(DecomposedArchitectures, PartsAddUpToWhatBlocksDo) {
  const Forward forward = model->forward(inputs, {all, /*attentions=*/true, /*layer_states=*/true});
  for (const auto& [at, block] : shown(*model, inputs, all)) {
    const auto& [side, layer, sequence] = at;
    SCOPED_TRACE(::testing::Message() << (side == Side::source ? "encoder" : "decoder") << " layer " << layer);
    const std::int64_t rows = block.network.output.size(0);
    EXPECT_TRUE(relatively_near(sum_of(block.attention), block.attention.output, kNear));
    if (block.cross.defined()) {
      EXPECT_TRUE(relatively_near(sum_of(block.cross), block.cross.output, kNear));
    }
    EXPECT_TRUE(relatively_near(block.network.added + block.network.kept + block.network.constant, block.network.output,
                                kNear));
    const Tensor weights = side == Side::source ? forward.source_attentions : forward.target_attentions;
    EXPECT_TRUE(
        relatively_near(block.attention.weights, weights[sequence][layer].narrow(1, 0, rows).narrow(2, 0, rows), 1e-6));
    if (side == Side::source) continue;
    EXPECT_EQ(block.cross.defined(), has_source);
    if (has_source) {
      const std::int64_t keys = std::ssize(sources[static_cast<std::size_t>(sequence)]);
      const Tensor captured = forward.cross_attentions[sequence][layer].narrow(1, 0, rows).narrow(2, 0, keys);
      EXPECT_TRUE(relatively_near(block.cross.weights, captured, 1e-6));
    }
    if (layer + 1 < model->info().layers) {
      const Tensor captured = forward.layer_states[static_cast<std::size_t>(layer + 1)][sequence].narrow(0, 0, rows);
      EXPECT_TRUE(relatively_near(block.network.output, captured, 1e-6));
    }
  }
}

/// What comes from a position is linear in its values where deviations are constants, so it is gradient times value.
TEST_P(DecomposedArchitectures, PartsAreWhatAutogradSays) {
  if (has_source) return;  // attentions to sources have the same parts, which the test above sums
  const oracle::Decoder reference = StoredDecoder(request).for_autograd();
  const Shown blocks = shown(*model, inputs, all);
  const at::AutoGradMode with_grad(true);
  const oracle::Pass pass =
      reference.run(reference.embed(at::tensor(targets[0], at::kLong)).detach(), std::ssize(targets[0]));
  RandomTensors random(at::kDouble);
  oracle::Rules frozen;
  frozen.frozen_norms = true;
  for (std::int64_t layer = 0; layer < model->info().layers; ++layer) {
    SCOPED_TRACE(::testing::Message() << "layer " << layer);
    const auto i = static_cast<std::size_t>(layer);
    const oracle::Block& block = reference.blocks()[i];
    const BlockParts& got = blocks.at({Side::target, layer, 0});
    Tensor values;
    const Tensor stream = pass.streams[i].detach().requires_grad_();
    const Tensor mixed = oracle::attend_rows(block.attention(), pass.heads[i].detach(), pass.biases[i], {}, nullptr,
                                             [&](const Tensor& v) { return values = v.detach().requires_grad_(); });
    const Tensor behind = block.behind_attention(mixed, stream, frozen);
    EXPECT_TRUE(relatively_near(got.attention.output, behind.detach(), kNear));
    for (const std::int64_t row : {std::int64_t{0}, behind.size(0) / 2, behind.size(0) - 1}) {
      const Tensor c = random({behind.size(1)});
      const auto gradients = torch::autograd::grad({(behind[row] * c).sum()}, {values, stream}, {}, true);
      const Tensor expected = (gradients[0] * values).sum({0, 2}).detach();
      EXPECT_TRUE(
          relatively_near(at::matmul(got.attention.of_positions(row, 1)[0].to(at::kDouble), c), expected, 5e-5));
    }
  }
}

TEST_P(DecomposedArchitectures, DirectionsAreThoseOfTheHead) {
  const Tensor cotangents = RandomTensors(at::kFloat)({all.size(0), all.size(1), model->info().vocabulary});
  const StreamDirections got = decomposition(*model).directions(inputs, all, [&](const Tensor& logits) {
    EXPECT_TRUE(relatively_near(logits, model->forward(inputs, {all}).logits, kNear));
    return cotangents;
  });
  const Forward forward = model->forward(inputs, {all, false, false, /*trace=*/true});
  PullBackRequest frozen;
  frozen.layers = decoder_sites({model->info().layers});
  // A final norm, or one of the stream behind the last block, whose deviation the head does not see.
  const bool final_norm = StoredDecoder(request).config.decoder.final_norm;
  if (final_norm) frozen.rules = {{"norm", "frozen"}};
  const Tensor at_top = model->pull_back(forward, {cotangents}, frozen).layers.front();
  for (std::int64_t b = 0; b < all.size(0); ++b)
    for (std::int64_t t = 0; t < all.size(1); ++t) {
      const Tensor direction = got.blocks.back().output[b][t];
      const auto row = all[b][t].item<std::int64_t>();
      if (row < 0)
        EXPECT_EQ(direction.abs().max().item<double>(), 0);
      else
        EXPECT_TRUE(relatively_near(direction, at_top[b][row][t], kNear));
    }
}

/// Along the directions, what all parts add up to is what the stream has at its end.
TEST_P(DecomposedArchitectures, PartsAlongDirectionsAddUpToTheScore) {
  const Tensor cotangents = RandomTensors(at::kFloat)({all.size(0), all.size(1), model->info().vocabulary});
  const StreamDirections directions =
      decomposition(*model).directions(inputs, all, [&](const Tensor&) { return cotangents; });
  Tensor got = (directions.states * directions.input).sum(-1).to(at::kDouble), expected = at::zeros_like(got);
  Tensor size = got.abs();
  for (const auto& [at, block] : shown(*model, inputs, all)) {
    const auto& [side, layer, sequence] = at;
    if (side == Side::source) continue;
    const BlockDirections& own = directions.blocks[static_cast<std::size_t>(layer)];
    for (std::int64_t t = 0; t < all.size(1); ++t) {
      const auto row = all[sequence][t].item<std::int64_t>();
      if (row < 0) continue;
      const auto along = [&](const Tensor& part, const Tensor& direction) {
        const double number = (part[row].to(at::kDouble) * direction[sequence][t].to(at::kDouble)).sum().item<double>();
        got[sequence][t] += number;
        size[sequence][t] += std::abs(number);
      };
      along(sum_of(block.attention) - block.attention.kept, own.attention);
      if (block.cross.defined()) along(sum_of(block.cross) - block.cross.kept, own.cross);
      along(block.network.added + block.network.constant, own.output);
      if (layer + 1 == model->info().layers)
        expected[sequence][t] = (block.network.output[row] * own.output[sequence][t]).sum();
    }
  }
  EXPECT_LE(((got - expected).abs() / (size + 1e-30)).max().item<double>(), kNear);
}

INSTANTIATE_TEST_SUITE_P(Stored, DecomposedArchitectures, ::testing::ValuesIn(kArchitectureCases),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Decomposition, ShowsWeightsAloneWhereThatIsAsked) {
  const auto model = load_model(ArchitectureCase("t5").folder());
  const Inputs inputs{pad({{0, 4, 9}}), pad({{5, 6, 7, 1}})};
  const Shown whole = shown(*model, inputs, positions({{2}}));
  for (const auto& [at, block] : shown(*model, inputs, positions({{2}}), /*weights_only=*/true)) {
    EXPECT_TRUE(relatively_near(block.attention.weights, whole.at(at).attention.weights, 0));
    EXPECT_EQ(block.cross.defined(), std::get<0>(at) == Side::target);
    EXPECT_FALSE(block.attention.vectors.defined());
    EXPECT_FALSE(block.network.output.defined());
  }
}

TEST(Decomposition, DoesNotDependOnTheBatch) {
  const auto model = load_model(own_model("qwen3"));
  const std::vector<TokenIds> texts = {{1, 17, 5, 40, 33, 8, 21}, {1, 9, 30, 44}};
  const Shown together = shown(*model, {pad(texts)}, positions({{6}, {3}}));
  for (std::int64_t b = 0; b < 2; ++b) {
    const TokenIds& text = texts[static_cast<std::size_t>(b)];
    for (const auto& [at, block] : shown(*model, {pad({text})}, positions({{std::ssize(text) - 1}})))
      EXPECT_TRUE(
          relatively_near(together.at({Side::target, block.layer, b}).attention.output, block.attention.output, 0));
  }
}

TEST(Decomposition, RunsTextsUpToTheirLastPosition) {
  const auto model = load_model(own_model("qwen3"));
  const Inputs inputs{pad({{1, 17, 5, 40}, {1, 9, 30, 44}})};
  const Work before = model->work();
  const Shown blocks = shown(*model, inputs, positions({{2, 0}, {-1, -1}}));
  EXPECT_EQ(blocks.size(), static_cast<std::size_t>(model->info().layers));
  EXPECT_EQ(blocks.begin()->second.attention.weights.size(1), 3);
  EXPECT_EQ((model->work() - before).forward_rows, 3);
  EXPECT_EQ(testing::text_of_error<InputError>([&] { shown(*model, inputs, positions({{4}, {0}})); }),
            "sequence 0: position 4 is outside the text; expected 0 to 3");
}

}  // namespace
}  // namespace whence::transformer
