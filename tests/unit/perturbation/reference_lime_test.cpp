// LIME under compat: reference against a ridge regression on all raw numbers.
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include "methods/problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;
using testing::text_of_error;

class ReferenceLime : public testing::MethodTest {
 protected:
  static constexpr std::int64_t kSamples = 60, kUnknown = 0;

  static Value::Map params(Value::Map more = {}) {
    Value::Map map{{"compat", text("reference")}, {"samples", number(kSamples)}};
    map.insert(map.end(), more.begin(), more.end());
    return map;
  }

  /// [rows,D] of a sample, masked as the method draws it.
  static Tensor masked(const Problem& texts, std::int64_t b, Side side, std::int64_t sample) {
    const char* purpose = side == Side::source ? "lime reference source" : "lime reference target";
    const Tensor kept = texts.random(b, purpose, sample).uniform({texts.length(side)}) >= 0.3;
    const Tensor& input = texts.embeddings(side)[b];
    return at::where(kept.unsqueeze(1), input, at::full_like(input, static_cast<double>(kUnknown)));
  }

  /// Normal equations of numbers [K,N] with an intercept, samples weighing as many as they have unchanged numbers.
  static Tensor ridge(const Tensor& numbers, const Tensor& input, const Tensor& scores) {
    const Tensor weight = (numbers == input).sum(1).to(at::kDouble), share = weight / weight.sum();
    const Tensor x = numbers - share.matmul(numbers), y = scores - share.dot(scores);
    const Tensor weighted = x.t() * weight;
    return at::linalg_solve(weighted.matmul(x) + at::eye(x.size(1), x.options()), weighted.matmul(y));
  }

  static void expect_ridge(const Problem& texts) {
    const Attribution got = attribute(texts, "lime", params());
    EXPECT_EQ(got.granularity, std::vector<std::string>{"hidden"});
    Points points{.count = kSamples};
    points.rows = [&](const PointPlace& place) { return masked(texts, place.sequence, place.side, place.point); };
    const Tensor scores = texts.scores(points).to(at::kDouble);
    for (std::int64_t b = 0; b < texts.batch_size(); ++b) {
      const Sequence& text = texts.sequences()[static_cast<std::size_t>(b)];
      for (std::int64_t t = 0; t < text.steps.size(); ++t) {
        std::vector<Tensor> samples, input;
        for (std::int64_t k = -1; k < kSamples; ++k) {
          std::vector<Tensor> parts;
          for (const Side side : {Side::source, Side::target}) {
            if (texts.length(side) == 0) continue;
            const std::int64_t seen = side == Side::source ? std::ssize(text.source) : text.steps.start + t;
            const Tensor rows = k < 0 ? texts.embeddings(side)[b] : masked(texts, b, side, k);
            parts.push_back(rows.narrow(0, 0, seen).flatten().to(at::kDouble));
          }
          (k < 0 ? input : samples).push_back(at::cat(parts));
        }
        const Tensor weights = ridge(at::stack(samples), input[0], scores.select(1, b).select(1, t));
        std::vector<Tensor> found;
        if (got.source.defined())
          found.push_back(got.source[b].select(1, t).narrow(0, 0, std::ssize(text.source)).flatten());
        found.push_back(got.target[b].select(1, t).narrow(0, 0, text.steps.start + t).flatten());
        EXPECT_TRUE(near(at::cat(found), weights.to(at::kFloat), 1e-4, 1e-6)) << "text " << b << ", step " << t;
      }
    }
  }
};

TEST_F(ReferenceLime, IsARidgeRegressionOnRawNumbers) {
  expect_ridge(problem());
  expect_ridge(problem("probability", /*with_source=*/true));
}

TEST_F(ReferenceLime, LeavesASideAloneThatIsNotAttributed) {
  const Attribution got = attribute(problem("probability", true, /*attribute_target=*/false), "lime", params());
  EXPECT_TRUE(got.source.defined());
  EXPECT_FALSE(got.target.defined());
}

TEST_F(ReferenceLime, RefusesWhatItHasNoUseFor) {
  const Problem texts = problem();
  EXPECT_EQ(text_of_error<ConfigError>([&] { attribute(texts, "lime", params({{"units", text("token")}})); }),
            "units: compat: reference masks rows of embeddings, each by itself, and has no use for it; leave it out");
  for (const auto& [name, value] : Value::Map{{"removal", text("zero")}, {"kernel_width", Value(1.0)}})
    EXPECT_TRUE(text_of_error<ConfigError>([&] {
                  attribute(texts, "lime", params({{name, value}}));
                }).starts_with(name + ": compat: reference"));
  EXPECT_EQ(texts.cost().forward_passes, 0);
}

}  // namespace
}  // namespace whence
