// Perturbation methods over units against brute force, each other and exact values.
#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "methods/problem_fixture.h"
#include "support/additive_model.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;
using testing::text_of_error;

class PerturbationMethods : public testing::MethodTest {
 protected:
  /// One text of nine tokens, of which the first is special; one step, that sees eight.
  Problem single(const std::string& score = "probability", std::uint64_t seed = 0) {
    score_ = testing::built_plugins().make_step_function(testing::choice(score));
    Problem::Options options;
    options.seed = seed;
    return Problem(model_, *score_, {testing::fake_sequence({1, 3, 7, 2, 9, 4, 6, 5}, {7, 8})}, options);
  }

  static Value::Map tokens(Value::Map more = {}, const std::string& removal = "baseline") {
    Value::Map params{{"units", text("token")}, {"removal", text(removal)}};
    params.insert(params.end(), more.begin(), more.end());
    return params;
  }

  /// Score of the only step when a subset of the tokens 1 to 6 is there.
  static double worth(const Problem& problem, std::uint64_t present) {
    Tensor mask = at::zeros({1, problem.length(Side::target)}, at::kBool);
    for (int i = 0; i < 6; ++i)
      if (!(present >> i & 1)) mask[0][i + 1] = true;
    return problem.scores(Variants{.target_mask = mask})[0][0][0].item<double>();
  }

  /// Shapley values by their definition: mean over all orders, as a sum over subsets.
  static Tensor shapley(const Problem& problem) {
    Tensor values = at::zeros({problem.length(Side::target)});
    for (int i = 0; i < 6; ++i)
      for (std::uint64_t subset = 0; subset < 64; ++subset) {
        if (subset >> i & 1) continue;
        const int size = __builtin_popcountll(subset);
        const double weight = std::tgamma(size + 1) * std::tgamma(6 - size) / std::tgamma(7);
        values[i + 1] += weight * (worth(problem, subset | std::uint64_t{1} << i) - worth(problem, subset));
      }
    return values;
  }

  static Tensor row(const Attribution& attribution) { return attribution.target[0].select(1, 0); }

  testing::FakeModel model_;
  std::unique_ptr<StepFunction> score_;
};

TEST_F(PerturbationMethods, LeaveOneOutIsTheDropOfTheScore) {
  const Problem texts = problem();
  const Tensor eye = at::eye(texts.length(Side::target), at::kBool);
  for (const auto& [name, removal] : std::vector<std::pair<std::string, Removal>>{{"baseline", Removal::baseline},
                                                                                  {"delete", Removal::erase},
                                                                                  {"mask", Removal::mask},
                                                                                  {"mean", Removal::mean},
                                                                                  {"zero", Removal::zero}}) {
    const Attribution got = attribute(texts, "leave_one_out", tokens({{"protect", text("none")}}, name));
    const Tensor drops = texts.scores() - texts.scores(Variants{.target_mask = eye, .removal = {removal}});
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t t = 0; t < texts.sequences()[b].steps.size(); ++t)
        for (std::int64_t r = 0; r < texts.sequences()[b].steps.start + t; ++r)
          EXPECT_NEAR(got.target[b][r][t].item<double>(), drops[r][b][t].item<double>(), 1e-6) << name;
  }
}

TEST_F(PerturbationMethods, LeaveOneOutTakesUnitsAndSharesTheirScore) {
  const Problem texts = single();
  const Attribution got = attribute(
      texts, "leave_one_out", {{"units", text("span")}, {"spans", Value(Value::List{text("t3 t7 t2"), text("t4")})}});
  Tensor mask = at::zeros({1, 7}, at::kBool);
  mask[0].slice(0, 1, 4).fill_(true);
  const double drop = (texts.scores() - texts.scores(Variants{.target_mask = mask})[0]).item<double>();
  const Tensor scores = row(got);
  for (std::int64_t r = 1; r < 4; ++r) EXPECT_NEAR(scores[r].item<double>(), drop / 3, 1e-6);
  EXPECT_NE(scores[5].item<double>(), 0);
  EXPECT_EQ(scores[4].item<double>(), 0) << "no unit";
}

TEST_F(PerturbationMethods, LeaveOneOutReplacesByTokens) {
  const Problem texts = single();
  const auto of = [&](const std::string& token) {
    return row(attribute(texts, "leave_one_out", tokens({{"token", text(token)}}, "token")));
  };
  EXPECT_TRUE(near(of("unk"), row(attribute(texts, "leave_one_out", tokens()))));
  EXPECT_FALSE(near(of("t11"), of("unk"), 1e-3, 1e-3));
  EXPECT_TRUE(near(of("random"), of("random"), 0, 0));
  EXPECT_FALSE(
      near(row(attribute(single("probability", 1), "leave_one_out", tokens({{"token", text("random")}}, "token"))),
           of("random"), 1e-3, 1e-3));
  EXPECT_NE(
      text_of_error([&] {
        of("t3 t4");
      }).find("token: 't3 t4' is 2 tokens of this tokenizer; expected text of one token, or unk, pad, mask or random"),
      std::string::npos);
}

TEST_F(PerturbationMethods, ShapleyValuesOfSixUnitsAreExact) {
  const Problem texts = single();
  const Tensor expected = shapley(texts);
  for (const char* method : {"kernel_shap", "permutation_shapley"})
    EXPECT_TRUE(near(row(attribute(texts, method, tokens())), expected, 1e-4, 1e-6)) << method;
  EXPECT_TRUE(near(row(attribute(texts, "owen", tokens({{"levels", Value(Value::List{})}}))), expected, 1e-4, 1e-6))
      << "a flat hierarchy";
}

TEST_F(PerturbationMethods, ShapleyFamilyIsEfficient) {
  const Problem texts = single();
  const double change = worth(texts, 63) - worth(texts, 0);
  for (const char* method : {"kernel_shap", "permutation_shapley", "owen"})
    for (const std::int64_t samples : {2, 16, 40, 512})
      EXPECT_NEAR(row(attribute(texts, method, tokens({{"samples", number(samples)}}))).sum().item<double>(), change,
                  1e-5)
          << method << ", " << samples;
}

TEST_F(PerturbationMethods, ShapleyValuesOfAnAdditiveScoreAreLeaveOneOut) {
  const testing::AdditiveModel additive;
  score_ = testing::built_plugins().make_step_function(testing::choice("logit"));
  const Problem texts(additive, *score_, {testing::fake_sequence({3, 7, 2, 9, 4, 6, 5}, {5, 7})}, {});
  const Tensor expected = attribute(texts, "leave_one_out", tokens({}, "zero")).target;
  EXPECT_EQ((expected.select(2, 1) != 0).sum().item<std::int64_t>(), 6);
  for (const char* method : {"kernel_shap", "permutation_shapley", "owen"})
    EXPECT_TRUE(near(attribute(texts, method, tokens({}, "zero")).target, expected, 1e-5, 1e-6)) << method;
}

TEST_F(PerturbationMethods, DoNotDependOnTheBatch) {
  const std::vector<Sequence> sequences = [] {
    std::vector<Sequence> list{testing::fake_sequence({1, 3, 7, 2, 9, 4, 6, 5, 8}, {6, 9}),
                               testing::fake_sequence({5, 2, 8, 10, 11, 3}, {3, 6})};
    list[1].id = "1";
    return list;
  }();
  score_ = testing::built_plugins().make_step_function(testing::choice("probability"));
  for (const char* method : {"kernel_shap", "permutation_shapley", "owen", "lime", "context_cite"}) {
    Value::Map params = tokens();
    if (std::string(method) != "context_cite") params.emplace_back("samples", number(20));
    const Tensor together = attribute(Problem(model_, *score_, sequences, {}), method, params).target;
    for (std::int64_t b = 0; b < 2; ++b) {
      const Tensor alone = attribute(Problem(model_, *score_, {sequences[b]}, {}), method, params).target[0];
      EXPECT_TRUE(near(together[b].slice(0, 0, alone.size(0)).slice(1, 0, alone.size(1)), alone, 1e-4, 1e-5)) << method;
    }
    Problem::Options other;
    other.seed = 1;
    EXPECT_FALSE(
        near(attribute(Problem(model_, *score_, sequences, other), method, params).target, together, 1e-4, 1e-6))
        << method << " draws by the seed";
  }
}

TEST_F(PerturbationMethods, SurrogatesFindTheOnlyUnitThatCounts) {
  const Problem texts = single();
  const Value::Map one{
      {"units", text("span")}, {"spans", Value(Value::List{text("t7")})}, {"removal", text("baseline")}};
  Value::Map exact = one;
  exact.emplace_back("alpha", Value(0.0));
  const double drop = row(attribute(texts, "leave_one_out", one)).sum().item<double>();
  EXPECT_NEAR(row(attribute(texts, "lime", exact)).sum().item<double>(), drop, 1e-6);
  exact.emplace_back("link", text("identity"));
  const Attribution cited = attribute(texts, "context_cite", exact);
  EXPECT_NEAR(row(cited).sum().item<double>(), drop, 1e-6);
  EXPECT_NEAR(cited.step_scores.at("context_cite_r2").item<double>(), 1, 1e-6);
  EXPECT_NEAR(cited.step_scores.at("context_cite_held_out_correlation").item<double>(), 1, 1e-6);
}

TEST_F(PerturbationMethods, ContextCiteIsSparseAndNeedsProbabilities) {
  const Problem texts = single();
  const Tensor dense = row(attribute(texts, "context_cite", tokens({{"alpha", Value(0.0)}})));
  const Tensor sparse = row(attribute(texts, "context_cite", tokens({{"alpha", Value(0.5)}})));
  EXPECT_LT(sparse.count_nonzero().item<std::int64_t>(), dense.count_nonzero().item<std::int64_t>());
  EXPECT_NE(text_of_error([&] {
              attribute(single("logit"), "context_cite", tokens());
            }).find("link: logit needs a score between 0 and 1, such as probability"),
            std::string::npos);
}

TEST_F(PerturbationMethods, ReagentGivesSharesWhateverStops) {
  const Value::Map few{{"num_probes", number(3)}, {"max_probe_steps", number(6)}, {"keep_top_n", number(2)}};
  for (const std::int64_t top : {1, 12}) {
    Value::Map params = few;
    params.emplace_back("stopping_condition_top_k", number(top));
    const Attribution got = attribute(problem(), "reagent", params);
    EXPECT_NEAR(got.target[0].select(1, 0).sum().item<double>(), 1, 1e-5);
    EXPECT_TRUE((got.target >= 0).all().item<bool>());
    const Tensor stopped = got.step_scores.at("reagent_stopped");
    if (top == 12) {
      EXPECT_EQ(stopped[0][0].item<double>(), 1) << "every token is among the twelve likeliest";
    }
    const Problem whole = problem();
    const Attribution alone =
        attribute(Problem(whole.model(), *testing::built_plugins().make_step_function(testing::choice("probability")),
                          {whole.sequences()[1]}, {}),
                  "reagent", params);
    EXPECT_TRUE(near(got.target[1].slice(0, 0, 3).slice(1, 0, 2), alone.target[0].slice(0, 0, 3), 1e-4, 1e-5))
        << "independent of the batch";
  }
}

TEST_F(PerturbationMethods, SpecialTokensStayUnlessToldOtherwise) {
  const Problem texts = single();
  EXPECT_EQ(row(attribute(texts, "leave_one_out", tokens({}, "zero")))[0].item<double>(), 0);
  EXPECT_NE(row(attribute(texts, "leave_one_out", tokens({{"protect", text("none")}}, "zero")))[0].item<double>(), 0);
}

TEST_F(PerturbationMethods, RefuseParametersThatDoNotGoTogether) {
  const auto error = [&](Value::Map params) {
    return text_of_error([&] { attribute(single(), "leave_one_out", std::move(params)); });
  };
  EXPECT_NE(error({{"units", text("span")}}).find("units: span needs the parameter spans; list the spans there"),
            std::string::npos);
  EXPECT_NE(error(tokens({{"spans", Value(Value::List{text("t3")})}})).find("spans: have no effect with units: token"),
            std::string::npos);
  EXPECT_NE(error(tokens({{"token", text("unk")}})).find("token: has no effect with removal: baseline"),
            std::string::npos);
  EXPECT_NE(error(tokens({{"draws", number(2)}})).find("draws: only random tokens are drawn"), std::string::npos);
  EXPECT_NE(error({{"units", text("turn")}}).find("sequence '0': has no turns to remove"), std::string::npos);
}

}  // namespace
}  // namespace whence
