#include "compare.h"

#include <ATen/ops/isnan.h>
#include <ATen/ops/where.h>

#include <sstream>

namespace whence::parity {

Tolerance::Tolerance(const Case& one) {
  const json& stored = one.at("tolerance");
  rtol = stored.at("rtol");
  atol_rel = stored.at("atol_rel");
  step_rtol = stored.at("step_rtol");
  step_atol = stored.at("step_atol");
  aggregated_atol = stored.at("aggregated_atol");
  deltas_atol = stored.value("deltas_atol", step_atol);
}

::testing::AssertionResult agrees(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  std::ostringstream text;
  if (got.defined() != expected.defined()) {
    text << (got.defined() ? "got a tensor where none is expected" : "got no tensor");
    return ::testing::AssertionFailure() << text.str();
  }
  if (!got.defined()) return ::testing::AssertionSuccess();
  if (got.sizes() != expected.sizes()) {
    text << "shape " << got.sizes() << ", expected " << expected.sizes();
    return ::testing::AssertionFailure() << text.str();
  }
  const Tensor blank = at::isnan(expected);
  if (!at::isnan(got).equal(blank)) return ::testing::AssertionFailure() << "NaN stands in other places";
  const Tensor reached = at::where(blank, 0.0, (got - expected).abs().to(at::kDouble));
  const Tensor allowed = at::where(blank, 1.0, expected.abs().to(at::kDouble) * rtol + atol);
  const Tensor excess = (reached / allowed).flatten();
  if (excess.numel() == 0 || excess.max().item<double>() <= 1) return ::testing::AssertionSuccess();
  const auto worst = excess.argmax().item<std::int64_t>();
  text << "element " << worst << " of " << got.sizes() << ": got " << got.flatten()[worst].item<double>()
       << ", expected " << expected.flatten()[worst].item<double>() << ", off by " << excess.max().item<double>()
       << " times what is allowed";
  return ::testing::AssertionFailure() << text.str();
}

::testing::AssertionResult agrees_relative(const Tensor& got, const Tensor& expected, const Tolerance& tolerance) {
  double largest = 0;
  if (expected.defined() && expected.numel() > 0)
    largest = at::where(at::isnan(expected), 0.0, expected).abs().max().item<double>();
  return agrees(got, expected, tolerance.rtol, tolerance.atol_rel * largest);
}

void expect_same_tokens(const SequenceAttribution& got, const SequenceAttribution& expected) {
  const auto shown = [](const std::vector<Token>& tokens) {
    std::string text;
    for (const Token& token : tokens) text += token.text + "/" + std::to_string(token.id) + " ";
    return text;
  };
  EXPECT_EQ(shown(got.source), shown(expected.source));
  EXPECT_EQ(shown(got.target), shown(expected.target));
  EXPECT_EQ(got.steps.start, expected.steps.start);
  EXPECT_EQ(got.steps.end, expected.steps.end);
}

void expect_step_scores(const SequenceAttribution& got, const SequenceAttribution& expected,
                        const std::vector<std::string>& names, const Tolerance& tolerance) {
  for (const std::string& name : names) {
    ASSERT_TRUE(got.step_scores.contains(name)) << name;
    const bool deltas = name == "deltas";
    EXPECT_TRUE(agrees(got.step_scores.at(name), expected.step_scores.at(name), deltas ? 0 : tolerance.step_rtol,
                       deltas ? tolerance.deltas_atol : tolerance.step_atol))
        << name;
  }
}

}  // namespace whence::parity
