// Plans: what the stand-in counts is what the model does.
#include "attribute_fixture.h"
#include "counting.h"
#include "host/attribution_info.h"
#include "host/counting_model.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::choice;
using testing::number;

class PlanTest : public testing::AttributeTest {
 protected:
  /// Counts of the plan and of the attribution.
  void expect_as_planned(const host::AttributionSpec& asked) {
    SCOPED_TRACE(asked.name);
    const host::AttributionPlan plan = host::plan_attribution(model, built_plugins(), texts(), asked, options);
    const Work done = host::cost_of(attribute(asked))->work;
    EXPECT_EQ(plan.work.forward_passes, done.forward_passes);
    EXPECT_EQ(plan.work.forward_rows, done.forward_rows);
    EXPECT_EQ(plan.work.head_rows, done.head_rows);
    EXPECT_EQ(plan.work.backward_passes, done.backward_passes);
    EXPECT_EQ(plan.work.backward_rows, done.backward_rows);
    EXPECT_GT(plan.work.forward_rows, 0);
    EXPECT_FALSE(plan.at_most);
  }

  /// All but the open-ended one, which has no plan.
  static std::vector<std::string> methods() {
    std::vector<std::string> names = built_plugins().catalogue().names(host::PluginKind::method);
    EXPECT_EQ(std::erase(names, "reagent"), 1u);
    return names;
  }
};

TEST_F(PlanTest, CountsWhatEveryMethodDoes) {
  for (const std::string& method : methods()) {
    expect_as_planned(spec(method));
    host::AttributionSpec more = spec(method);
    more.step_scores = {choice("probability"), choice("entropy")};
    more.granularity = host::Granularity::full;
    expect_as_planned(more);
    more.granularity = host::Granularity::token;
    more.aggregation = {choice("sum")};
    if (method != "attention" && method != "value_zeroing") expect_as_planned(more);
  }
}

TEST_F(PlanTest, CountsWhatEveryMethodDoesInLittleMemory) {
  options.memory_bytes = 60000;
  for (const std::string& method : methods()) expect_as_planned(spec(method));
}

TEST_F(PlanTest, OpenEndedMethodsHaveNone) {
  const std::string error = testing::text_of_error(
      [&] { host::plan_attribution(model, built_plugins(), texts(), spec("reagent"), options); });
  EXPECT_NE(error.find("method 'reagent': goes on until the model's answers tell it to stop"), std::string::npos)
      << error;
  EXPECT_GT(host::cost_of(attribute(spec("reagent")))->work.forward_passes, 0);
}

TEST_F(PlanTest, ChangesNothingInTheModel) {
  const Work before = model.work();
  host::plan_attribution(model, built_plugins(), texts(), spec("occlusion"), options);
  EXPECT_EQ((model.work() - before).forward_passes, 0);
}

TEST_F(PlanTest, CountsWhatIsHeld) {
  const auto bytes = [&](const char* method, host::Granularity granularity) {
    host::AttributionSpec asked = spec(method);
    asked.granularity = granularity;
    return host::plan_attribution(model, built_plugins(), texts(), asked, options).tensor_bytes;
  };
  EXPECT_GT(bytes("saliency", host::Granularity::token), model.info().pass_bytes.traced_row * 7);
  EXPECT_GT(bytes("saliency", host::Granularity::full), bytes("saliency", host::Granularity::token));
}

TEST_F(PlanTest, TheStandInIsTheModelButForItsPasses) {
  const host::CountingModel counting(model);
  EXPECT_EQ(counting.info().name, model.info().name);
  EXPECT_TRUE(counts_only(counting));
  EXPECT_FALSE(counts_only(model));
  const Tensor ids = texts()[0].sequence.target.empty() ? Tensor() : at::arange(4).unsqueeze(0);
  EXPECT_TRUE(testing::near(counting.embed(ids, Side::target), model.embed(ids, Side::target), 0, 0));
  EXPECT_EQ(counting.query("unknown/1"), nullptr);
}

}  // namespace
}  // namespace whence
