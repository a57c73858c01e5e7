// Every way of removing tokens against texts that are written by hand.
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include "problem_test.h"

namespace whence {
namespace {

using testing::near;

class Removals : public testing::ProblemTest {
 protected:
  /// [P,rows] bool: variant p removes the listed rows.
  static Tensor marks(const std::vector<std::vector<std::int64_t>>& variants, std::int64_t rows) {
    Tensor mask = at::zeros({std::ssize(variants), rows}, at::kBool);
    for (std::size_t p = 0; p < variants.size(); ++p)
      for (const std::int64_t row : variants[p]) mask[static_cast<std::int64_t>(p)][row] = true;
    return mask;
  }

  /// Score of one step of a text from which tokens are taken out, by running what is left as a text of its own.
  double shortened(const Model& model, const Sequence& text, std::int64_t step, const Tensor& target,
                   const Tensor& source) const {
    const std::int64_t explained = text.steps.start + step;
    TokenIds ids, source_ids;
    for (std::int64_t i = 0; i < explained; ++i)
      if (!target.defined() || !target[i].item<bool>()) ids.push_back(text.target[i].id);
    // The first step decides whether a text begins anew.
    const bool empty = target.defined() && target.slice(0, 0, text.steps.start).all().item<bool>();
    if (empty) ids.insert(ids.begin(), 1);
    for (std::size_t i = 0; i < text.source.size(); ++i)
      if (!source.defined() || !source[static_cast<std::int64_t>(i)].item<bool>())
        source_ids.push_back(text.source[i].id);
    if (!text.source.empty() && source_ids.empty()) source_ids.push_back(1);
    ids.push_back(text.target[explained].id);
    const auto length = std::ssize(ids);
    return Problem(model, *score, {testing::fake_sequence(ids, {length - 1, length}, source_ids)}, {})
        .scores()
        .item<double>();
  }

  void expect_shortened(const Model& model, const Variants& variants) {
    const Problem texts = problem(model);
    const Tensor got = texts.scores(variants);
    for (std::int64_t p = 0; p < got.size(0); ++p)
      for (std::int64_t b = 0; b < texts.batch_size(); ++b)
        for (std::int64_t t = 0; t < texts.sequences()[b].steps.size(); ++t) {
          const Tensor target = variants.target_mask.defined() ? variants.target_mask[p] : Tensor();
          const Tensor source = variants.source_mask.defined() ? variants.source_mask[p] : Tensor();
          EXPECT_NEAR(got[p][b][t].item<double>(), shortened(model, texts.sequences()[b], t, target, source), 1e-6)
              << "variant " << p << ", text " << b << ", step " << t;
        }
  }

  /// Scores where the marked rows of all texts are replaced by hand.
  Tensor by_hand(const Problem& problem, const Tensor& mask, const Tensor& rows) const {
    Inputs inputs = problem.inputs();
    inputs.target_embeddings = at::where(mask.view({1, -1, 1}), rows, problem.embeddings(Side::target));
    const Tensor logits = problem.model().forward(inputs, {.positions = problem.predicting_positions()}).logits;
    const Tensor next = (problem.predicting_positions() + 1).clamp_min(0);
    return score->score({logits, inputs.target.ids.gather(1, next)}) * problem.step_mask();
  }
};

const std::vector<std::vector<std::int64_t>> kRemoved = {{0},    {1},       {2},       {3, 4}, {1, 5},          {0, 1},
                                                         {0, 3}, {0, 1, 2}, {2, 3, 4}, {6},    {0, 1, 2, 3, 4}, {}};

TEST_F(Removals, ErasedTokensLeaveTheShortenedText) {
  for (const Model* each : {&model, &alone}) {
    Variants variants{.target_mask = marks(kRemoved, 8), .removal = {Removal::erase}};
    expect_shortened(*each, variants);
  }
}

TEST_F(Removals, ErasedTokensOfASourceToo) {
  Variants variants{.source_mask = marks({{0}, {1, 2}, {0, 1, 2, 3}, {}}, 4), .removal = {Removal::erase}};
  expect_shortened(translator, variants);
  variants.target_mask = marks({{1}, {0}, {2, 3}, {0, 1}}, 8);
  expect_shortened(translator, variants);
}

TEST_F(Removals, ErasedTextsShareTheirBeginning) {
  const Problem texts = problem(model);
  texts.scores(Variants{.target_mask = marks({{4}}, 8), .removal = {Removal::erase}});
  // Of 7 and 5 rows those from the third on: the step behind the erased token is read at the one before it.
  EXPECT_EQ(texts.cost().forward_rows, (7 + 3 + 5) + (6 - 3) + (4 - 3));
}

TEST_F(Removals, PutOtherRowsInTheirPlace) {
  const Problem texts = problem(model);
  const Tensor mask = marks({{1, 2}}, 8);
  const auto scores = [&](Variants variants) {
    variants.target_mask = mask;
    return texts.scores(variants)[0];
  };
  const Tensor zero = at::zeros({testing::FakeModel::kHidden}), row = at::full({testing::FakeModel::kHidden}, 0.25);
  const Tensor vocabulary = model.embed(at::arange(testing::FakeModel::kVocabulary), Side::target);
  const auto with = [&](const Tensor& rows) { return by_hand(texts, mask[0], rows); };
  EXPECT_TRUE(near(scores({.removal = {Removal::zero}}), with(zero)));
  EXPECT_TRUE(near(scores({.removal = {Removal::mean}}), with(vocabulary.mean(0))));
  EXPECT_TRUE(near(scores({.removal = {Removal::row}, .target_row = row}), with(row)));
  EXPECT_TRUE(near(scores({.removal = {Removal::token}, .target_ids = at::full({1, 3, 8}, 4, at::kLong)}),
                   with(vocabulary[4])));
}

TEST_F(Removals, TheSameTokenIsNoChange) {
  const Problem texts = problem(model);
  const Tensor own = texts.inputs().target.ids.unsqueeze(0);
  const Tensor got =
      texts.scores(Variants{.target_mask = marks({{0, 1, 2}}, 8), .removal = {Removal::token}, .target_ids = own});
  EXPECT_TRUE(near(got[0], texts.scores(), 0, 0));
  EXPECT_EQ(texts.cost().forward_rows, 7 + 3 + 5);
}

TEST_F(Removals, MaskedTokensAreNotAttendedTo) {
  for (const Model* each : {&model, &alone}) {
    const Problem texts = problem(*each);
    const Tensor mask = marks(kRemoved, 8);
    const Tensor got = texts.scores(Variants{.target_mask = mask, .removal = {Removal::mask}});
    for (std::int64_t p = 0; p < got.size(0); ++p) {
      Inputs inputs = texts.inputs();
      inputs.target.unseen = mask[p].slice(0, 0, texts.length(Side::target)).expand(inputs.target.ids.sizes());
      const Tensor logits = each->forward(inputs, {.positions = texts.predicting_positions()}).logits;
      const Tensor next = (texts.predicting_positions() + 1).clamp_min(0);
      EXPECT_TRUE(near(got[p], score->score({logits, inputs.target.ids.gather(1, next)}) * texts.step_mask()));
    }
  }
}

TEST_F(Removals, MayDifferBetweenVariants) {
  const Problem texts = problem(model);
  const std::vector<Removal> all = {Removal::baseline, Removal::zero, Removal::mean, Removal::mask, Removal::erase};
  const Tensor mask = marks({{1, 3}, {1, 3}, {1, 3}, {1, 3}, {1, 3}}, 8);
  const Tensor got = texts.scores(Variants{.target_mask = mask, .removal = all});
  for (std::int64_t p = 0; p < std::ssize(all); ++p)
    EXPECT_TRUE(near(got[p], texts.scores(Variants{.target_mask = mask.narrow(0, p, 1), .removal = {all[p]}})[0])) << p;
}

TEST_F(Removals, DoNotDependOnTheBudgetOrTheOrder) {
  for (const Removal removal : {Removal::erase, Removal::mask}) {
    const auto scores = [&](const Problem& texts) {
      return texts.scores(Variants{.target_mask = marks(kRemoved, 8), .removal = {removal}});
    };
    const Tensor expected = scores(problem(model));
    const auto with = [&](std::int64_t budget) { return scores(problem(model, {.memory_bytes = budget})); };
    EXPECT_TRUE(near(with(testing::least_budget(with)), expected, 1e-6, 0));
    std::vector<Sequence> turned = texts(model);
    std::reverse(turned.begin(), turned.end());
    EXPECT_TRUE(near(scores(Problem(model, *score, turned, {})), expected.flip(1), 1e-6, 0));
  }
}

}  // namespace
}  // namespace whence
