#include <ATen/ops/zeros.h>

#include <cmath>

#include "host/yaml.h"
#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::text;
using testing::text_of_error;

class ValueZeroingMethod : public testing::MethodTest {
 protected:
  static Value yaml(const std::string& document) { return host::parse_yaml(document, "e.yaml"); }

  static Tensor scores(const Problem& problem, Value::Map params = {}) {
    return attribute(problem, "value_zeroing", std::move(params)).target;
  }
  static Tensor of_heads(const Problem& problem, const std::string& heads) {
    return scores(problem, {{"decoder_zeroed_units_indices", yaml(heads)}});
  }

  using State = std::vector<double>;
  using Distance = double (*)(const State&, const State&);

  static double one_minus_cosine(const State& a, const State& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t d = 0; d < a.size(); ++d) ab += a[d] * b[d], aa += a[d] * a[d], bb += b[d] * b[d];
    return 1 - ab / std::sqrt(aa * bb);
  }
  static double euclidean(const State& a, const State& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return std::sqrt(sum);
  }

  /// The scores from their definition: the layers of the fake model run again for each zeroed token, without it.
  static Tensor brute_force(const Problem& problem, Distance distance) {
    const Tensor weights = problem.observe({.attentions = true}).target_attentions.to(at::kDouble);
    Tensor result = at::zeros({problem.batch_size(), problem.length(Side::target), problem.steps(), 2});
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const Tensor rows = problem.embeddings(Side::target)[b];
      std::vector<State> states;
      for (std::int64_t l = 0; l < rows.size(0); ++l) {
        states.emplace_back();
        for (std::int64_t d = 0; d < rows.size(1); ++d) states.back().push_back(rows[l][d].item<double>());
      }
      for (std::int64_t n = 0; n < 2; ++n) {
        const auto output = [&](std::int64_t query, std::int64_t zeroed) {
          State state = states[query];
          for (std::int64_t key = 0; key <= query; ++key)
            for (std::int64_t d = 0; key != zeroed && d < std::ssize(state); ++d)
              state[d] += weights[b][n][d % 2][query][key].item<double>() * states[key][d];
          for (double& unit : state) unit = n == 1 ? std::tanh(unit) : unit;
          return state;
        };
        for (std::int64_t t = 0; t < problem.sequences()[b].steps.size(); ++t) {
          const std::int64_t query = problem.sequences()[b].steps.start + t - 1;
          double sum = 0;
          for (std::int64_t r = 0; r <= query; ++r) sum += distance(output(query, -1), output(query, r));
          for (std::int64_t r = 0; r <= query; ++r)
            result[b][r][t][n] = distance(output(query, -1), output(query, r)) / sum;
        }
        std::vector<State> next;
        for (std::int64_t l = 0; l < std::ssize(states); ++l) next.push_back(output(l, -1));
        states = std::move(next);
      }
    }
    return result;
  }
};

TEST_F(ValueZeroingMethod, FollowsItsDefinition) {
  const Problem decoder = problem();
  const Attribution attribution = attribute(decoder, "value_zeroing");
  EXPECT_EQ(attribution.granularity, std::vector<std::string>{"layer"});
  EXPECT_FALSE(attribution.source.defined());
  EXPECT_TRUE(near(attribution.target, brute_force(decoder, one_minus_cosine), 1e-4, 1e-6));
  EXPECT_TRUE(
      near(scores(decoder, {{"similarity_metric", text("euclidean")}}), brute_force(decoder, euclidean), 1e-4, 1e-6));
}

TEST_F(ValueZeroingMethod, ColumnsAddUpToOneWhereThereIsAStep) {
  const Problem decoder = problem();
  const Tensor expected = decoder.step_mask().to(at::kFloat).unsqueeze(-1).expand({2, 3, 2});
  EXPECT_TRUE(near(scores(decoder).sum(1), expected));
}

TEST_F(ValueZeroingMethod, ZeroesTheHeadsThatAreNamed) {
  const Problem decoder = problem();
  const Tensor all = scores(decoder), first = of_heads(decoder, "0"), second = of_heads(decoder, "1");
  EXPECT_FALSE(near(first, second, 1e-2));
  for (const char* heads : {"[0, 1]", "[[0, 2]]", "[[1, 2], 0]", "{0: null, 1: [0, 1]}"})
    EXPECT_TRUE(near(of_heads(decoder, heads), all)) << heads;
  for (const char* heads : {"[0]", "[[0, 1]]", "{0: 0, 1: [[0, 1]]}"})
    EXPECT_TRUE(near(of_heads(decoder, heads), first)) << heads;
  const Tensor mixed = of_heads(decoder, "{1: 0, 0: [1]}");
  EXPECT_TRUE(near(mixed.select(-1, 0), second.select(-1, 0)));
  EXPECT_TRUE(near(mixed.select(-1, 1), first.select(-1, 1)));
}

TEST_F(ValueZeroingMethod, LayersThatAreNotNamedScoreZero) {
  const Problem decoder = problem();
  const Tensor second = of_heads(decoder, "{1: null}");
  EXPECT_TRUE(near(second.select(-1, 1), scores(decoder).select(-1, 1)));
  EXPECT_TRUE(near(second.select(-1, 0), at::zeros({2, 6, 3}), 0, 0));
}

TEST_F(ValueZeroingMethod, NamesHeadsThatCannotBeZeroed) {
  const Problem decoder = problem();
  const auto error = [&](const std::string& heads) { return text_of_error([&] { of_heads(decoder, heads); }); };
  const std::string expected =
      "decoder_zeroed_units_indices: expected heads (0 or more), or spans of heads [start, end] "
      "with start < end, found ";
  EXPECT_EQ(error("first"), "e.yaml:1:1: " + expected + "a text");
  EXPECT_EQ(error("-1"), "e.yaml:1:1: " + expected + "-1");
  EXPECT_EQ(error("[0, [1, 1]]"), "e.yaml:1:5: " + expected + "a list");
  EXPECT_EQ(error("{0: {1: 2}}"), "e.yaml:1:5: " + expected + "a mapping");
  EXPECT_EQ(error("[]"), "e.yaml:1:1: decoder_zeroed_units_indices: an empty list zeroes nothing; name a head");
  EXPECT_EQ(error("{}"),
            "e.yaml:1:1: decoder_zeroed_units_indices: a mapping without layers zeroes nothing; name a layer");
  EXPECT_EQ(error("{last: 0}"),
            "e.yaml:1:2: decoder_zeroed_units_indices: expected the number of a layer as key, found 'last'");
  EXPECT_EQ(error("{1: 0, 01: 1}"), "e.yaml:1:8: decoder_zeroed_units_indices: layer 01 is given twice; keep one");
  EXPECT_EQ(error("{0: 1, 2: 0}"),
            "e.yaml:1:8: decoder_zeroed_units_indices: no layer 2: fake has 2 layers, from 0 on");
  EXPECT_EQ(error("[0, [1, 3]]"),
            "e.yaml:1:5: decoder_zeroed_units_indices: no head 2: the model has 2 heads, from 0 on");
}

TEST_F(ValueZeroingMethod, RefusesHeadsOfAttentionsThatAreNotThere) {
  const Problem decoder = problem();
  for (const std::string name : {"cross_zeroed_units_indices", "encoder_zeroed_units_indices"})
    EXPECT_EQ(text_of_error([&] { scores(decoder, {{name, yaml("0")}}); }),
              "e.yaml:1:1: " + name + ": has no effect, since the model fake has no source; take it out");
}

TEST_F(ValueZeroingMethod, NeedsAModelThatZeroesValues) {
  const Problem both = problem("probability", true);
  EXPECT_EQ(
      text_of_error([&] { scores(both); }),
      "method 'value_zeroing': the model fake (fake) cannot zero the values of single layers; use 'attention', or "
      "a model that can");
}

}  // namespace
}  // namespace whence
