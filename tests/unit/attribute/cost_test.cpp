// The formulas of plugin.yaml against the rows that models count.
#include <set>

#include "attribute_fixture.h"
#include "host/attribution_info.h"
#include "support/formula.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::Formula;
using testing::number;

class CostTest : public testing::AttributeTest {
 protected:
  /// Runs a method with parameters and compares what was counted with its formulas, over all texts.
  void expect_formulas(const std::string& method, const Value::Map& params = {}) {
    SCOPED_TRACE(method);
    const host::PluginInfo& plugin = built_plugins().catalogue().find(host::PluginKind::method, method);
    ASSERT_TRUE(plugin.cost_formulas) << "plugin.yaml has no formulas under cost";
    const host::AttributionSpec asked = spec(method, params);
    double forward = 0, backward = 0;
    for (const host::PreparedText& text : texts()) {
      Formula::Names names{{"rows", text.sequence.steps.end - 1},
                           {"steps", text.sequence.steps.size()},
                           {"layers", model.info().layers}};
      for (const auto& [name, value] : host::recorded_params(plugin, asked.method))
        if (value.is_number())
          names[name] = value.as_double();
        else if (value.is_bool())
          names[name] = value.as_bool() ? 1 : 0;
      for (const auto& [name, formula] : plugin.cost_formulas->where) names[name] = Formula::evaluate(formula, names);
      forward += Formula::evaluate(plugin.cost_formulas->forward_rows, names);
      backward += Formula::evaluate(plugin.cost_formulas->backward_rows, names);
    }
    const Work counted = host::cost_of(attribute(asked))->work;
    EXPECT_EQ(counted.forward_rows, forward) << plugin.cost_formulas->forward_rows;
    EXPECT_EQ(counted.backward_rows, backward) << plugin.cost_formulas->backward_rows;
  }
};

TEST_F(CostTest, IsThatOfTheFormulaForEveryMethod) {
  // What these do depends on the units of a text and where they lie, or on what the model answers: no formula in rows
  // and steps says it. Their plans are held to what is counted (plan_test.cpp).
  const std::set<std::string> by_units = {"context_cite", "kernel_shap",         "leave_one_out", "lime",
                                          "owen",         "permutation_shapley", "reagent"};
  for (const std::string& method : built_plugins().catalogue().names(host::PluginKind::method)) {
    const bool has_formula =
        built_plugins().catalogue().find(host::PluginKind::method, method).cost_formulas.has_value();
    EXPECT_NE(has_formula, by_units.contains(method)) << method;
    if (has_formula) expect_formulas(method);
  }
}

TEST_F(CostTest, FollowsTheParameters) {
  for (const auto& [window, stride] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 1}, {2, 2}, {3, 2}, {9, 4}})
    expect_formulas("occlusion", {{"sliding_window", number(window)}, {"stride", number(stride)}});
  for (const char* method : {"integrated_gradients", "sequential_integrated_gradients"})
    for (const std::int64_t nodes : {1, 7}) expect_formulas(method, {{"n_steps", number(nodes)}});
}

TEST(Formula, EvaluatesWhatPluginsWrite) {
  const Formula::Names names{{"rows", 5}, {"n_steps", 3}};
  EXPECT_EQ(Formula::evaluate("rows", names), 5);
  EXPECT_EQ(Formula::evaluate("2 * (rows + 1) - n_steps", names), 9);
  EXPECT_EQ(Formula::evaluate("rows * (rows + 1) / 2", names), 15);
  EXPECT_EQ(Formula::evaluate("floor(rows / 2) + max(n_steps, rows) + min(1, -2)", names), 5);
  for (const char* wrong : {"", "rows +", "(rows", "other", "rows rows", "sqrt(rows)", "max(rows)"})
    EXPECT_THROW(Formula::evaluate(wrong, names), std::invalid_argument) << wrong;
}

}  // namespace
}  // namespace whence
