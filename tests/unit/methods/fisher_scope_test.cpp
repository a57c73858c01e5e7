// The Fisher scope against Jacobians from single backward passes.
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;

class FisherScopeTest : public testing::MethodTest {
 protected:
  /// tr(J^T F J) of every token and step, from the whole Jacobian [V,B,rows,T,D] and the matrix F.
  static Tensor by_definition(const Problem& texts, Side side) {
    const Forward forward =
        texts.model().forward(texts.inputs(), {.positions = texts.predicting_positions(), .trace = true});
    std::vector<Tensor> rows;
    for (std::int64_t v = 0; v < forward.logits.size(2); ++v) {
      Tensor one = at::zeros(forward.logits.sizes());
      one.select(2, v).copy_(texts.step_mask());
      const Gradients gradients =
          texts.model().pull_back(forward, {one}, {.source = texts.length(Side::source) > 0, .target = true});
      rows.push_back(side == Side::source ? gradients.source : gradients.target);
    }
    const Tensor jacobian = at::stack(rows), p = at::softmax(forward.logits, -1);
    const Tensor fisher = at::diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2);
    return at::einsum("vbrtd,btvw,wbrtd->brt", {jacobian, fisher, jacobian});
  }
};

TEST_F(FisherScopeTest, ExactIsTheTrace) {
  for (const bool with_source : {false, true}) {
    const Problem texts = problem("probability", with_source);
    const Attribution got = attribute(texts, "fisher_scope", {{"exact", Value(true)}});
    EXPECT_TRUE(near(got.target, by_definition(texts, Side::target), 1e-4, 1e-6));
    if (with_source) {
      EXPECT_TRUE(near(got.source, by_definition(texts, Side::source), 1e-4, 1e-6));
    }
    EXPECT_TRUE(got.granularity.empty());
  }
}

TEST_F(FisherScopeTest, SamplesAgreeWithTheTrace) {
  const Problem texts = problem();
  const Tensor exact = by_definition(texts, Side::target);
  const Attribution got = attribute(texts, "fisher_scope", {{"n_samples", number(3000)}});
  EXPECT_LT((got.target - exact).abs().sum().item<double>(), 0.05 * exact.sum().item<double>());
  const Tensor error = got.step_scores.at("error_estimate");
  EXPECT_LT(error.max().item<double>(), 0.05);
  // What was missed is of the size that is said.
  const Tensor missed = (got.target - exact).abs().sum(1) / exact.sum(1).clamp_min(1e-9);
  EXPECT_TRUE((missed <= 5 * error + 1e-6).all().item<bool>()) << missed << error;
}

TEST_F(FisherScopeTest, DependsOnSeedAndSequenceAlone) {
  const Attribution one = attribute(problem(), "fisher_scope", {{"n_samples", number(2)}});
  const Attribution again = attribute(problem(), "fisher_scope", {{"n_samples", number(2)}});
  EXPECT_TRUE(near(one.target, again.target, 0, 0));
}

TEST_F(FisherScopeTest, SemanticScopeIsTheNormOfALogitsGradient) {
  const Problem texts = problem("logit");
  const Tensor norms = attribute(texts, "gradient_norm").target.square().sum(-1);
  const Forward forward =
      texts.model().forward(texts.inputs(), {.positions = texts.predicting_positions(), .trace = true});
  const Tensor next = texts.inputs().target.ids.gather(1, (texts.predicting_positions() + 1).clamp_min(0));
  const Tensor one =
      at::zeros(forward.logits.sizes()).scatter_(2, next.unsqueeze(-1), texts.step_mask().unsqueeze(-1).to(at::kFloat));
  EXPECT_TRUE(near(norms, texts.model().pull_back(forward, {one}, {}).target.square().sum(-1)));
}

}  // namespace
}  // namespace whence
