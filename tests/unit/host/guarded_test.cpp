// What methods, step functions and aggregators may return: everything of another shape is a fault of the plugin.
#include "host/guarded.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/fake_model.h"
#include "support/text_of_error.h"
#include "whence/context_renderer.h"
#include "whence/hidden_reduction.h"

namespace whence::host {
namespace {

using whence::testing::FakeModel;
using whence::testing::text_of_error;

const std::string kPlugin = "some.wplugin";

/// The text of the error about what was returned at a stage.
std::string fault(const std::string& stage, const std::string& what) {
  return kPlugin + ": returned at stage '" + stage + "': " + what + "; report this to the plugin's author";
}

class Returns final : public Method {
 public:
  explicit Returns(Attribution attribution) : attribution_(std::move(attribution)) {}
  Attribution attribute(const Problem&) const override { return attribution_; }

 private:
  Attribution attribution_;
};

class Scores final : public StepFunction {
 public:
  explicit Scores(Tensor scores) : scores_(std::move(scores)) {}
  Tensor score(const StepInputs&) const override { return scores_; }

 private:
  Tensor scores_;
};

class Leaves final : public Aggregator {
 public:
  explicit Leaves(SequenceAttribution sequence) : sequence_(std::move(sequence)) {}
  void apply(SequenceAttribution& sequence) const override { sequence = sequence_; }

 private:
  SequenceAttribution sequence_;
};

/// The error of a method that returns this for one sequence of four tokens with two steps, which has L = 4 and T = 2.
std::string error_of(Attribution attribution) {
  const FakeModel model;
  const Scores score(at::ones({1, 2}));
  const Problem problem(model, score, {whence::testing::fake_sequence({2, 3, 4, 5}, {2, 4})}, {});
  const auto method = guarded(std::make_unique<Returns>(std::move(attribution)), kPlugin);
  return text_of_error<PluginError>([&] { method->attribute(problem); });
}

TEST(GuardedMethod, PassesOnWhatFits) {
  EXPECT_EQ(error_of({}), "nothing was thrown");
  EXPECT_EQ(error_of({.target = at::ones({1, 4, 2}), .step_scores = {{"deltas", at::ones({1, 2})}}}),
            "nothing was thrown");
  EXPECT_EQ(error_of({.target = at::ones({1, 4, 2, 3, 5}), .granularity = {"layer", "head"}}), "nothing was thrown");
  EXPECT_EQ(error_of({.sequence_scores = {{"map", at::ones({1, 4, 4})}}}), "nothing was thrown");
}

TEST(GuardedMethod, NamesWhatDoesNotFit) {
  const auto target = [](at::IntArrayRef sizes, std::vector<std::string> granularity = {}) {
    return error_of({.target = at::ones(sizes), .granularity = std::move(granularity)});
  };
  const std::string letters = ": sequences, target rows, steps and the dims named in granularity";
  EXPECT_EQ(target({1, 3, 2}), fault("attribute", "target has shape [1,3,2], expected [1,4,2]" + letters));
  EXPECT_EQ(target({1, 4, 1}), fault("attribute", "target has shape [1,4,1], expected [1,4,2]" + letters));
  EXPECT_EQ(target({2, 4, 2}), fault("attribute", "target has shape [2,4,2], expected [1,4,2]" + letters));
  EXPECT_EQ(target({4}), fault("attribute", "target has shape [4], expected [1,4,2]" + letters));
  EXPECT_EQ(target({1, 4, 2, 5}), fault("attribute", "target has shape [1,4,2,5], expected [1,4,2]" + letters));
  EXPECT_EQ(target({1, 4, 2}, {"hidden"}),
            fault("attribute", "target has shape [1,4,2], expected [1,4,2,hidden]" + letters));
  EXPECT_EQ(error_of({.source = at::ones({1, 4, 2})}),
            fault("attribute",
                  "source has shape [1,4,2], expected [1,0,2]: sequences, source rows, steps and the dims "
                  "named in granularity"));
  EXPECT_EQ(error_of({.target = at::ones({1, 4, 2}, at::kLong)}),
            fault("attribute", "target holds no floating-point numbers"));
  EXPECT_EQ(error_of({.step_scores = {{"deltas", at::ones({2})}}}),
            fault("attribute", "step score 'deltas' has shape [2], expected [1,2]: sequences, steps"));
  EXPECT_EQ(error_of({.sequence_scores = {{"map", at::ones({4, 4})}}}),
            fault("attribute", "sequence score 'map' has shape [4,4], expected [1,rows,columns,...]"));
}

TEST(GuardedStepFunction, GivesOneNumberForEachStep) {
  const StepInputs inputs{at::zeros({2, 3, 7}), at::zeros({2, 3}, at::kLong)};
  const auto error = [&](const Tensor& scores) {
    return text_of_error<PluginError>([&] { guarded(std::make_unique<Scores>(scores), kPlugin)->score(inputs); });
  };
  EXPECT_EQ(error(at::ones({2, 3})), "nothing was thrown");
  EXPECT_EQ(error({}), fault("score", "no scores"));
  EXPECT_EQ(error(at::ones({2, 3, 7})),
            fault("score", "the score has shape [2,3,7], expected [2,3]: sequences, steps"));
  EXPECT_EQ(error(at::ones({2, 3}, at::kLong)), fault("score", "the score holds no floating-point numbers"));
}

TEST(GuardedAggregator, LeavesASequenceWhoseTensorsFitItsTokens) {
  SequenceAttribution whole;
  whole.source = {{"a", 2}, {"b", 3}};
  whole.target = {{"a", 2}, {"b", 3}, {"c", 4}, {"d", 5}};
  whole.steps = {2, 4};
  whole.target_attributions = at::ones({4, 2});
  whole.step_scores["entropy"] = at::ones({2});
  const auto error = [&](const std::function<void(SequenceAttribution&)>& change) {
    SequenceAttribution left = whole, given = whole;
    change(left);
    return text_of_error<PluginError>([&] { guarded(std::make_unique<Leaves>(left), kPlugin)->apply(given); });
  };
  EXPECT_EQ(error([](auto&) {}), "nothing was thrown");
  EXPECT_EQ(error([](auto& sequence) { sequence.target.pop_back(); }),
            fault("aggregate", "steps [2, 4) of 3 target tokens"));
  const std::string letters = " and the dims named in granularity";
  EXPECT_EQ(error([](auto& sequence) { sequence.steps = {2, 3}; }),
            fault("aggregate",
                  "target_attributions has shape [4,2], expected [3,1]: target tokens up to the last step, "
                  "steps" +
                      letters));
  EXPECT_EQ(error([](auto& sequence) { sequence.granularity = {"layer"}; }),
            fault("aggregate",
                  "target_attributions has shape [4,2], expected [4,2,layer]: target tokens up to the last "
                  "step, steps" +
                      letters));
  EXPECT_EQ(error([](auto& sequence) { sequence.source_attributions = at::ones({4, 2}); }),
            fault("aggregate", "source_attributions has shape [4,2], expected [2,2]: source tokens, steps" + letters));
  EXPECT_EQ(error([](auto& sequence) { sequence.step_scores["entropy"] = at::ones({1}); }),
            fault("aggregate", "step score 'entropy' has shape [1], expected [2]: steps"));
}

/// An aggregator that makes one thing of hidden units.
class Reduces final : public Aggregator, public HiddenReduction {
 public:
  explicit Reduces(Tensor reduced) : reduced_(std::move(reduced)) {}
  void apply(SequenceAttribution&) const override {}
  const void* query(std::string_view) const override { return static_cast<const HiddenReduction*>(this); }
  Tensor reduce(const Tensor&) const override {
    if (!reduced_.defined()) throw std::runtime_error("nothing to reduce");
    return reduced_;
  }
  bool is_sum() const override { return true; }
  std::string description() const override { return "something"; }
  void finish(SequenceAttribution& sequence) const override { sequence.steps = {0, 9}; }

 private:
  Tensor reduced_;
};

TEST(GuardedAggregator, ReducesHiddenUnitsToOneNumberEach) {
  const auto reduce = [](const Tensor& reduced) { return guarded(std::make_unique<Reduces>(reduced), kPlugin); };
  const auto power = [](const Aggregator& aggregator) {
    return static_cast<const HiddenReduction*>(aggregator.query(HiddenReduction::kCapability));
  };
  const auto error = [&](const Tensor& reduced) {
    return text_of_error<PluginError>([&] { power(*reduce(reduced))->reduce(at::ones({2, 3, 5})); });
  };
  EXPECT_EQ(error(at::ones({2, 3})), "nothing was thrown");
  EXPECT_EQ(error(at::ones({2, 3, 1})), fault("aggregate",
                                              "what hidden units were reduced to has shape [2,3,1], "
                                              "expected [2,3]: all dims but the last"));
  EXPECT_EQ(error({}),
            "some.wplugin: threw at stage 'aggregate': nothing to reduce; report this to the plugin's author");
  const auto fine = reduce(at::ones({2, 3}));
  EXPECT_TRUE(power(*fine)->is_sum());
  EXPECT_EQ(power(*fine)->description(), "something");
  EXPECT_EQ(text_of_error<PluginError>([&] {
              SequenceAttribution sequence;
              power(*fine)->finish(sequence);
            }),
            fault("aggregate", "steps [0, 9) of 0 target tokens"));
}

/// Throws what is no whence::Error, or offers no drawing of contexts.
class Clumsy final : public Renderer, public ContextRenderer {
 public:
  explicit Clumsy(bool draws_context) : draws_context_(draws_context) {}
  std::string render(const AttributionOutput&, const Canvas&) const override { return {}; }
  std::string render(const ContextAttribution&, const Canvas&) const override { throw std::out_of_range("no ink"); }
  const void* query(std::string_view capability) const override {
    const bool asked = capability == ContextRenderer::kCapability;
    return asked && draws_context_ ? static_cast<const ContextRenderer*>(this) : nullptr;
  }

 private:
  bool draws_context_;
};

TEST(GuardedRenderer, GuardsTheDrawingOfContexts) {
  const auto renderer = guarded(std::make_unique<Clumsy>(true), kPlugin);
  const auto* power = static_cast<const ContextRenderer*>(renderer->query(ContextRenderer::kCapability));
  ASSERT_NE(power, nullptr);
  EXPECT_EQ(text_of_error<PluginError>([&] { power->render({}, {}); }),
            kPlugin + ": threw at stage 'render': no ink; report this to the plugin's author");
  EXPECT_EQ(guarded(std::make_unique<Clumsy>(false), kPlugin)->query(ContextRenderer::kCapability), nullptr);
}

}  // namespace
}  // namespace whence::host
