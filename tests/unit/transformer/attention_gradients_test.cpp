// Gradients at attention weights against autograd in double precision.
#include "attention_gradients.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "architecture_cases.h"
#include "by_autograd.h"
#include "checkpoint_oracle.h"

namespace whence::transformer {
namespace {

using Key = std::tuple<Side, Side, std::int64_t, std::int64_t, std::int64_t>;
using Shown = std::map<Key, AttentionGradient>;

class AttentionGradients : public ::testing::TestWithParam<const char*> {
 protected:
  ArchitectureCase stored{GetParam()};
  ModelRequest request = request_for(stored.folder());
  std::unique_ptr<Model> model = load_model(request);
  bool has_source = stored.has("source_ids");
  std::vector<TokenIds> targets = stored.texts("ids", "lengths"),
                        sources = has_source ? stored.texts("source_ids", "source_lengths") : std::vector<TokenIds>{};
  Inputs inputs{pad(targets), has_source ? pad(sources) : PaddedIds{}};
  Tensor asked = positions(rows());
  Tensor cotangents = RandomTensors(at::kFloat)({asked.size(0), asked.size(1), model->info().vocabulary});

  std::vector<std::vector<std::int64_t>> rows() const {
    std::vector<std::vector<std::int64_t>> result;
    for (const TokenIds& text : targets) result.push_back({std::ssize(text) - 1, 0, -1, std::ssize(text) / 2});
    return result;
  }

  /// Steps two at a time.
  Shown shown() const {
    Shown result;
    const Forward forward = model->forward(inputs, {asked, false, false, /*trace=*/true});
    PullBackRequest pull;
    pull.source = has_source;
    std::int64_t last = 0;
    pull.attentions = [&](const AttentionGradient& one) {
      const std::int64_t order = (one.queries == Side::target ? 1000 : 0) + 2 * one.layer + (one.queries != one.keys);
      EXPECT_LE(order, last) << "from the last layer down";
      last = order;
      EXPECT_TRUE(result.insert({{one.queries, one.keys, one.layer, one.sequence, one.step}, one}).second);
    };
    for (const std::int64_t first : {0, 2}) {
      last = 1 << 20;
      model->pull_back(forward, {cotangents.narrow(1, first, 2), first}, pull);
    }
    return result;
  }
};

TEST_P(AttentionGradients, AreThoseOfAutograd) {
  const Shown got = shown();
  const std::size_t steps = static_cast<std::size_t>(asked.ge(0).sum().item<std::int64_t>());
  const auto layers = static_cast<std::size_t>(model->info().layers);
  if (has_source) {
    EXPECT_GE(got.size(), 2 * steps * layers) << "cross attention and the decoder's own";
    return;
  }
  EXPECT_EQ(got.size(), steps * layers);
  const oracle::Decoder reference = StoredDecoder(request).for_autograd();
  const at::AutoGradMode with_grad(true);
  for (std::int64_t b = 0; b < std::ssize(targets); ++b) {
    const TokenIds& text = targets[static_cast<std::size_t>(b)];
    std::vector<Tensor> weights;
    oracle::Rules rules;
    rules.weights = &weights;
    const Tensor embeddings = reference.embed(at::tensor(text, at::kLong)).detach().requires_grad_();
    const oracle::Pass pass = reference.run(embeddings, std::ssize(text), rules);
    for (std::int64_t t = 0; t < asked.size(1); ++t) {
      const auto row = asked[b][t].item<std::int64_t>();
      if (row < 0) continue;
      const auto expected =
          torch::autograd::grad({pass.logits[row]}, weights, {cotangents[b][t].to(at::kDouble)}, true);
      for (std::size_t n = 0; n < layers; ++n) {
        SCOPED_TRACE(::testing::Message() << "text " << b << ", step " << t << ", layer " << n);
        const AttentionGradient& one = got.at({Side::target, Side::target, static_cast<std::int64_t>(n), b, t});
        const auto seen = [&](const Tensor& all) { return all.narrow(1, 0, row + 1).narrow(2, 0, row + 1); };
        EXPECT_TRUE(relatively_near(one.weights, seen(weights[n].detach()), 2e-5));
        // Only where a row looks do they mean anything.
        const Tensor looks = seen(weights[n].detach()) > 0;
        EXPECT_TRUE(relatively_near(one.gradients * looks, seen(expected[n]) * looks, 5e-5));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stored, AttentionGradients, ::testing::ValuesIn(kArchitectureCases), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

/// Attention to a source, and within one: what models with an encoder add to the above.
TEST(AttentionGradientsOfASource, AreThoseOfAutograd) {
  constexpr std::int64_t kRows = 7, kKeys = 5;
  for (const Sight sight : {Sight::prefix, Sight::all}) {
    const AttentionShape shape{4, 2, 6, sight, 0, 0.4, 0};
    RandomTensors random(at::kDouble);
    const bool own = sight == Sight::all;
    const Tensor rows = random({kRows, shape.width()});
    const Tensor keys = own ? rows.narrow(1, shape.queries(), 2 * shape.keys()) : random({kKeys, 2 * shape.keys()});
    KeyValues source;
    source.layers = {keys};
    source.value_column = shape.keys();
    source.first_row = {0};
    source.length = {kKeys};
    const std::int64_t start = own ? 0 : kKeys;
    RowLayout layout;
    layout.add({0, 0, start, kRows, own ? nullptr : &source, 0});
    // Two steps: one is read in the middle of a decoder's rows; every step has all rows of an encoder.
    CotangentSteps steps;
    steps.step = {0, 1};
    steps.position = own ? std::vector<std::int64_t>{kRows - 1, kRows - 1} : std::vector{start + 3, start + kRows - 1};
    std::int64_t packed = 0;
    for (std::int64_t i = 0; i < kRows; ++i) {
      steps.offset.push_back(packed);
      steps.active.push_back(start + i > steps.position[0] ? 1 : 0);
      packed += 2 - steps.active.back();
    }
    const Tensor cotangents = random({packed, shape.queries()});

    const at::AutoGradMode with_grad(true);
    std::vector<Tensor> weights;
    oracle::Rules rules;
    rules.weights = &weights;
    const Tensor queries = rows.narrow(1, 0, shape.queries()).detach().requires_grad_();
    const Tensor mixed = oracle::attend(shape, queries, keys, {}, rules);
    std::int64_t visits = 0;
    visit_attention_gradients<double>(
        shape, nullptr, {}, layout, 0, rows, {steps}, false, cotangents, {.queries = Side::source, .layer = 3},
        [&](const AttentionGradient& one) {
          ++visits;
          EXPECT_EQ(one.layer, 3);
          const std::int64_t last = steps.position[static_cast<std::size_t>(one.step)] - start;
          Tensor c = at::zeros_like(mixed).detach();
          for (std::int64_t i = 0; i <= last; ++i) c[i].copy_(cotangents[steps.row(i, one.step)]);
          const Tensor expected = torch::autograd::grad({mixed}, {weights.front()}, {c}, true).front();
          EXPECT_TRUE(relatively_near(one.gradients, expected.narrow(1, 0, last + 1), 1e-12));
          EXPECT_TRUE(relatively_near(one.weights, weights.front().detach().narrow(1, 0, last + 1), 1e-12));
        });
    EXPECT_EQ(visits, 2);
  }
}

TEST(AttentionGradientsOfAPrefix, AreRefused) {
  const auto model = load_model(own_model("qwen3"));
  const Inputs inputs{pad({{1, 17, 5, 40}})};
  const Forward base = model->forward(inputs, {positions({{3}}), false, false, false, /*keep_prefix=*/true});
  ForwardRequest changed{positions({{3}}), false, false, /*trace=*/true};
  changed.shared = {&base, at::tensor({0}, at::kLong), at::tensor({2}, at::kLong)};
  const Forward forward = model->forward(inputs, changed);
  PullBackRequest pull;
  pull.attentions = [](const AttentionGradient&) {};
  EXPECT_THROW(model->pull_back(forward, {RandomTensors(at::kFloat)(forward.logits.sizes())}, pull),
               std::invalid_argument);
}

}  // namespace
}  // namespace whence::transformer
