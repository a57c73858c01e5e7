// Blocks without the value of one position against the block recomputed with this value set to zero.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <map>

#include "checkpoint_oracle.h"
#include "checkpoints.h"
#include "relative_error.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12, 4, 4, 2, 19}, {1, 9, 30, 44, 2, 51}};
const std::vector<std::vector<std::int64_t>> kAsked = {{12, 3, 0, 8, 3}, {5, -1, 2, -1, 4}};

/// What the visitor was shown, by layer, sequence and step.
struct Visit {
  Tensor clean, zeroed;
};
using Visits = std::map<std::array<std::int64_t, 3>, Visit>;

Visits visits_of(const Model& model, const Inputs& inputs, const ValueZeroing::Request& request) {
  Visits visits;
  std::int64_t last = 0;
  const auto* zeroing = static_cast<const ValueZeroing*>(model.query(ValueZeroing::kCapability));
  zeroing->zero_values(inputs, request, [&](const ValueZeroing::Row& row) {
    EXPECT_GE(row.layer, last) << "layers in ascending order";
    last = row.layer;
    const Visit visit{row.clean.clone(), row.zeroed.clone()};
    EXPECT_TRUE(visits.insert({{row.layer, row.sequence, row.step}, visit}).second) << "visited twice";
  });
  return visits;
}

class ZeroedValues : public ::testing::TestWithParam<const char*> {
 protected:
  ModelRequest request = request_for_own(GetParam());
  std::unique_ptr<Model> model = load_model(request);
  oracle::Decoder reference = StoredDecoder(request).for_autograd();

  /// Block `layer` of a text at one row, when some heads don't see the value of each position in turn.
  Visit by_definition(const oracle::Pass& pass, std::int64_t layer, std::int64_t row, const Tensor& heads) const {
    const auto i = static_cast<std::size_t>(layer);
    const oracle::Block& block = reference.blocks()[i];
    const auto state_without = [&](std::int64_t position) {
      const Tensor mixed =
          oracle::attend_rows(block.attention(), pass.heads[i], pass.biases[i], {}, nullptr, [&](const Tensor& values) {
            Tensor rest = values.clone();
            for (std::int64_t h = 0; h < rest.size(0); ++h)
              if (position >= 0 && heads[h].item<bool>()) rest[h][position].zero_();
            return rest;
          });
      const Tensor state = block.finish(mixed.narrow(0, row, 1), pass.streams[i].narrow(0, row, 1));
      return (layer + 1 == model->info().layers ? reference.final_states(state) : state).squeeze(0);
    };
    std::vector<Tensor> zeroed;
    for (std::int64_t position = 0; position <= row; ++position) zeroed.push_back(state_without(position));
    return {state_without(-1), at::stack(zeroed)};
  }

  /// `heads` [N,H]; none: all of them.
  void expect_definition(const std::vector<TokenIds>& texts, const std::vector<std::vector<std::int64_t>>& asked,
                         const std::vector<Tensor>& heads) const {
    const Visits visits = visits_of(*model, {pad(texts)}, {.target = {positions(asked), heads}});
    std::size_t expected_visits = 0;
    for (std::size_t b = 0; b < texts.size(); ++b) {
      const oracle::Pass pass = reference.run(reference.embed(at::tensor(texts[b], at::kLong)), std::ssize(texts[b]));
      for (std::int64_t layer = 0; layer < model->info().layers; ++layer) {
        const Tensor zeroed_heads =
            heads.empty() ? at::tensor(std::vector<std::int64_t>(static_cast<std::size_t>(model->info().heads), 1)) != 0
                          : heads[static_cast<std::size_t>(layer)];
        if (!zeroed_heads.any().item<bool>()) continue;
        std::map<std::int64_t, Visit> by_row;
        for (std::int64_t t = 0; t < std::ssize(asked[b]); ++t) {
          const std::int64_t row = asked[b][static_cast<std::size_t>(t)];
          if (row < 0) continue;
          SCOPED_TRACE(::testing::Message() << "layer " << layer << ", text " << b << ", row " << row);
          ++expected_visits;
          const auto found = visits.find({layer, static_cast<std::int64_t>(b), t});
          ASSERT_NE(found, visits.end());
          if (!by_row.contains(row)) by_row[row] = by_definition(pass, layer, row, zeroed_heads);
          EXPECT_TRUE(relatively_near(found->second.clean, by_row[row].clean, 1e-5));
          EXPECT_TRUE(relatively_near(found->second.zeroed, by_row[row].zeroed, 1e-5));
        }
      }
    }
    EXPECT_EQ(visits.size(), expected_visits);
  }
};

TEST_P(ZeroedValues, FollowTheirDefinition) { expect_definition(kTexts, kAsked, {}); }

TEST_P(ZeroedValues, FollowTheirDefinitionForSomeHeads) {
  const Tensor two = at::tensor({1, 0, 0, 1}) != 0, one = at::tensor({0, 1, 0, 0}) != 0;
  const Tensor none = at::tensor({0, 0, 0, 0}) != 0;
  expect_definition(kTexts, kAsked, {two, one});
  expect_definition(kTexts, kAsked, {one, none});
  expect_definition(kTexts, kAsked, {none, two});
  expect_definition(kTexts, kAsked, {none, none});
}

/// More rows than go through a block together.
TEST_P(ZeroedValues, FollowTheirDefinitionForManySteps) {
  const TokenIds text(30, 11);
  std::vector<std::int64_t> asked;
  for (int i = 0; i < 60; ++i) asked.push_back(29 - i % 7);
  expect_definition({text}, {asked}, {});
}

TEST_P(ZeroedValues, CleanStatesAreThoseOfAForward) {
  const Visits visits = visits_of(*model, {pad(kTexts)}, {.target = {positions(kAsked), {}}});
  const Forward forward = model->forward({pad(kTexts)}, {positions(kAsked), false, /*layer_states=*/true});
  for (const auto& [at, visit] : visits) {
    const auto& [layer, sequence, step] = at;
    const std::int64_t row = kAsked[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(step)];
    EXPECT_TRUE(at::equal(visit.clean, forward.layer_states[static_cast<std::size_t>(layer + 1)][sequence][row]));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ZeroedValues,
                         ::testing::Values("mistral_window", "qwen3", "llama_bias", "llama_dynamic", "llama_gguf"),
                         [](const auto& info) { return std::string(info.param); });

/// Attentions of models that look at a source. Their scores are held against the reference by the stored cases.
class ZeroedValuesOfSources : public ::testing::TestWithParam<const char*> {
 protected:
  using Attention = ValueZeroing::Attention;
  using Request = ValueZeroing::Request;

  std::unique_ptr<Model> model = load_model(own_model("architectures") / GetParam());
  std::vector<TokenIds> sources = {{5, 17, 30, 9, 2}, {8, 21, 2}}, targets = {{3, 17, 5, 22, 33, 8}, {3, 9, 30, 12}};

  const ValueZeroing& zeroing() const {
    return *static_cast<const ValueZeroing*>(model->query(ValueZeroing::kCapability));
  }
  Visits visits(const Request& request, Attention attention, std::size_t only = 2) const {
    Inputs inputs{pad(targets), pad(sources)};
    if (only < 2) inputs = {pad({targets[only]}), pad({sources[only]})};
    Visits result;
    zeroing().zero_values(inputs, request, [&](const ValueZeroing::Row& row) {
      if (row.attention != attention) return;
      result.insert({{row.layer, row.sequence, row.step}, {row.clean.clone(), row.zeroed.clone()}});
    });
    return result;
  }
  static Request asking(Attention attention, const ValueZeroing::Values& values) {
    Request request;
    (attention == Attention::source  ? request.source
     : attention == Attention::cross ? request.cross
                                     : request.target) = values;
    return request;
  }
};

TEST_P(ZeroedValuesOfSources, AreOneRowForEachPositionThatIsSeen) {
  const Tensor asked = positions({{4, 0, 2}, {1, 2, -1}});
  const Forward forward = model->forward({pad(targets), pad(sources)}, {asked, false, /*layer_states=*/true});
  for (const Attention attention : {Attention::target, Attention::cross, Attention::source}) {
    const Visits all = visits(asking(attention, {asked, {}}), attention);
    EXPECT_EQ(std::ssize(all), 5 * zeroing().extent(attention).layers);
    for (const auto& [at, visit] : all) {
      const auto& [layer, text, step] = at;
      const auto row = asked[text][step].item<std::int64_t>();
      const std::int64_t source = std::ssize(sources[static_cast<std::size_t>(text)]);
      EXPECT_EQ(visit.zeroed.size(0), attention == Attention::target ? row + 1 : source);
      EXPECT_GT((visit.zeroed - visit.clean).abs().max().item<double>(), 1e-4);
      if (attention == Attention::source) continue;
      EXPECT_TRUE(at::equal(visit.clean, forward.layer_states[static_cast<std::size_t>(layer + 1)][text][row]));
    }
  }
}

TEST_P(ZeroedValuesOfSources, DependOnNoOtherTextAndNoOtherAttention) {
  const Tensor asked = positions({{2, 0}, {1, 2}});
  const Request everything{{asked, {}}, {asked, {}}, {asked, {}}};
  for (const Attention attention : {Attention::target, Attention::cross, Attention::source}) {
    const Visits together = visits(everything, attention);
    for (const std::size_t text : {0, 1}) {
      const Visits alone =
          visits(asking(attention, {asked.narrow(0, static_cast<std::int64_t>(text), 1), {}}), attention, text);
      EXPECT_EQ(alone.size(), together.size() / 2);
      for (const auto& [at, visit] : alone)
        EXPECT_TRUE(at::equal(visit.zeroed, together.at({at[0], static_cast<std::int64_t>(text), at[2]}).zeroed));
    }
  }
}

TEST_P(ZeroedValuesOfSources, AreThoseOfTheNamedHeads) {
  const Tensor asked = positions({{2}, {1}});
  for (const Attention attention : {Attention::target, Attention::cross, Attention::source}) {
    const auto [layers, heads] = zeroing().extent(attention);
    const auto layer_count = static_cast<std::size_t>(layers);
    const Tensor all = at::full({heads}, true), none = at::full({heads}, false);
    Tensor one = none.clone();
    one[0] = true;
    const auto with = [&](const Tensor& mask) {
      return visits(asking(attention, {asked, std::vector<Tensor>(layer_count, mask)}), attention);
    };
    const Visits whole = visits(asking(attention, {asked, {}}), attention), named = with(all), first = with(one);
    for (const auto& [at, visit] : whole) {
      EXPECT_TRUE(at::equal(named.at(at).zeroed, visit.zeroed));
      EXPECT_FALSE(at::equal(first.at(at).zeroed, visit.zeroed));
      EXPECT_FALSE(at::equal(first.at(at).zeroed[0], visit.clean));
    }
    EXPECT_TRUE(with(none).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ZeroedValuesOfSources, ::testing::Values("bart", "marian", "t5", "m2m_100"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ZeroedValuesOfASource, NeedOne) {
  const auto model = load_model(own_model("qwen3"));
  EXPECT_EQ(
      testing::text_of_error<InputError>([&] { visits_of(*model, {pad(kTexts)}, {.cross = {positions(kAsked), {}}}); }),
      "a decoder-only model has no source whose values could be zeroed");
}

TEST(ZeroedHeads, MustBeThoseOfTheModel) {
  const auto model = load_model(own_model("qwen3"));
  const auto error = [&](const std::vector<Tensor>& heads) {
    return testing::text_of_error<std::invalid_argument>(
        [&] { visits_of(*model, {pad(kTexts)}, {.target = {positions(kAsked), heads}}); });
  };
  const Tensor all = at::tensor({1, 1, 1, 1}) != 0;
  EXPECT_EQ(error({all}), "expected the zeroed heads of every layer");
  EXPECT_EQ(error({all, all.narrow(0, 0, 3)}), "expected zeroed heads [H] of bool");
  EXPECT_EQ(error({all, all.to(at::kLong)}), "expected zeroed heads [H] of bool");
  EXPECT_EQ(error({all, all}), "nothing was thrown");
  EXPECT_EQ(testing::text_of_error<InputError>(
                [&] { visits_of(*model, {pad(kTexts)}, {.target = {positions({{13}, {0}}), {}}}); }),
            "sequence 0: position 13 is outside the text; expected 0 to 12");
}

}  // namespace
}  // namespace whence::transformer
