#pragma once

#include <gtest/gtest.h>

#include "support/additive_model.h"
#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/measure_steps.h"

namespace whence::testing {

/// Two texts on the additive model, evaluated by the logit of the explained token, with tokens removed to zero.
class MetricTest : public ::testing::Test {
 protected:
  AdditiveModel model;
  std::vector<Sequence> texts{text("0", {3, 7, 2, 9, 4, 6}, {3, 6}), text("1", {5, 6, 8, 10, 2}, {3, 5})};

  static Sequence text(const std::string& id, const TokenIds& ids, Span steps) {
    Sequence sequence = fake_sequence(ids, steps);
    sequence.id = id;
    return sequence;
  }

  static Params units() {
    return Params({{"units", testing::text("token")},
                   {"language", testing::text("en")},
                   {"protect", testing::text("none")},
                   {"spans", Value()}});
  }
  static Params removal(const std::string& name) {
    return Params({{"removal", testing::text(name)}, {"token", Value()}});
  }

  /// [units,T] of a text: e_i times the column of the explained token.
  Tensor exact(const Sequence& text) const {
    std::vector<Tensor> steps;
    for (std::int64_t t = text.steps.start; t < text.steps.end; ++t) {
      std::vector<Tensor> units;
      for (std::int64_t i = 0; i + 1 < text.steps.end; ++i)
        units.push_back(at::dot(row(text, i), model.head.select(1, text.target[static_cast<std::size_t>(t)].id)));
      steps.push_back(at::stack(units));
    }
    return at::stack(steps, 1).to(at::kDouble);
  }
  Tensor row(const Sequence& text, std::int64_t position) const {
    return model.embed(at::full({1}, text.target[static_cast<std::size_t>(position)].id, at::kLong), Side::target)[0];
  }

  /// What a metric says of attributions of these texts.
  std::vector<Measure> measure(const std::string& metric, Value::Map params,
                               const std::vector<UnitScores>& attributions, const std::vector<Sequence>& of_texts,
                               const std::string& removal_name = "zero", std::uint64_t seed = 0) {
    const auto log_probability = built_plugins().make_step_function(choice("probability", {{"logprob", Value(true)}})),
               logit = built_plugins().make_step_function(choice("logit"));
    const Problem::Options options{.seed = seed};
    const Problem logarithms(model, *log_probability, of_texts, options), logits(model, *logit, of_texts, options);
    const UnitChoice unit_choice(units());
    const RemovalChoice removal_choice(removal(removal_name));
    AblationScores ablations(logarithms, &logits, ScoreScale::score, unit_choice, removal_choice);
    return built_plugins().make_metric(choice(metric, std::move(params)))->measure({ablations, attributions, seed});
  }
  std::vector<Measure> measure(const std::string& metric, Value::Map params = {}) {
    return measure(metric, std::move(params), attributions(texts), texts);
  }

  /// The exact attribution, its opposite, and noise.
  std::vector<UnitScores> attributions(const std::vector<Sequence>& of_texts) const {
    std::vector<UnitScores> result{
        {.name = "exact", .explains_score = true}, {.name = "opposite", .explains_score = true}, {.name = "noise"}};
    for (const Sequence& text : of_texts) {
      result[0].scores.push_back(exact(text));
      result[1].scores.push_back(-exact(text));
      result[2].scores.push_back(RandomStream({5, text.id, "noise", 0}).uniform(exact(text).sizes()));
    }
    return result;
  }

  /// Calls `fn` with text and step of every step.
  template <class Fn>
  void each_step(const Fn& fn) const {
    for (std::int64_t b = 0; b < std::ssize(texts); ++b)
      for (std::int64_t t = 0; t < texts[static_cast<std::size_t>(b)].steps.size(); ++t) fn(b, t);
  }
  static double value(const Measure& measure, std::int64_t attribution, std::int64_t b, std::int64_t t) {
    return measure.values[attribution][b][t].item<double>();
  }
  static Value scales(const std::string& name) { return Value(Value::List{testing::text(name)}); }
};

}  // namespace whence::testing
