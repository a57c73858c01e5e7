// Every method on models that lack something: it refuses before any work, or does without.
#include <algorithm>
#include <limits>
#include <set>

#include "attribute_fixture.h"

namespace whence {
namespace {

using testing::built_plugins;
using testing::FakeModel;

class Refusals : public testing::AttributeTest {
 protected:
  static std::vector<std::string> methods() { return built_plugins().catalogue().names(host::PluginKind::method); }

  /// What a method says about a model, "" if it attributes.
  std::string error(const Model& model, const std::string& method) const {
    try {
      // One that goes on until the answers of the model tell it to stop.
      const Value::Map params =
          method == "reagent" ? Value::Map{{"max_probe_steps", testing::number(20)}} : Value::Map{};
      host::attribute(model, built_plugins(), texts(), spec(method, params), options);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  /// That these methods refuse a model without running it, in words that hold `says`, and that all others attribute.
  void expect_refusals(const Model& model, const std::set<std::string>& refused, const std::string& says) const {
    for (const std::string& method : methods()) {
      SCOPED_TRACE(method);
      const Work before = model.work();
      const std::string found = error(model, method);
      if (!refused.contains(method)) {
        EXPECT_EQ(found, "");
        continue;
      }
      EXPECT_NE(found.find(says), std::string::npos) << found;
      EXPECT_NE(found.find("method '" + method + "'"), std::string::npos) << found;
      EXPECT_EQ((model.work() - before).forward_passes, 0);
    }
    const std::vector<std::string> known = methods();
    for (const std::string& method : refused)
      EXPECT_NE(std::ranges::find(known, method), known.end()) << method << " is no method";
  }
};

/// Offers no optional power.
class PlainModel final : public FakeModel {
 public:
  const void* query(std::string_view) const override { return nullptr; }
};

TEST_F(Refusals, OfModelsWithoutOptionalPowers) {
  expect_refusals(PlainModel(),
                  {"alti", "alti_logit", "attention_rollout", "information_flow_edges", "information_flow_routes",
                   "information_flow_span", "temperature_scope", "value_zeroing", "value_zeroing_rollout"},
                  "the model fake (fake) ");
}

/// Its vocabulary has a token to begin with, but nothing that could stand for no token.
class NoSpecialTokens final : public testing::FakeTokenizer {
 public:
  using testing::FakeTokenizer::FakeTokenizer;
  const SpecialIds& special_ids() const override { return none_; }

 private:
  SpecialIds none_{.bos = 1};
};
class NeutralTokenMissing final : public FakeModel {
 public:
  const Tokenizer& tokenizer() const override { return tokenizer_; }

 private:
  NoSpecialTokens tokenizer_{kVocabulary};
};

TEST_F(Refusals, OfModelsWithoutATokenForTheBaseline) {
  expect_refusals(
      NeutralTokenMissing(),
      {"deeplift", "discretized_integrated_gradients", "gim", "gradient_shap", "integrated_gradients", "kernel_shap",
       "layer_deeplift", "layer_gradient_shap", "layer_integrated_gradients", "leave_one_out", "lime", "occlusion",
       "owen", "permutation_shapley", "sequential_integrated_gradients"},
      "the tokenizer has no unknown, padding or end-of-text token");
}

/// Its second step is not a number.
class NotANumber final : public FakeModel {
 public:
  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override {
    Forward result = FakeModel::forward(inputs, request);
    if (result.logits.size(1) > 1) result.logits.select(1, 1).fill_(std::numeric_limits<double>::quiet_NaN());
    return result;
  }
};

TEST_F(Refusals, OfScoresThatAreNotFinite) {
  // What these attribute comes from inside the model, whose derivatives at attention weights are ones.
  const std::set<std::string> without_scores = {"alti",
                                                "attention",
                                                "attention_rollout",
                                                "gradient_attention_rollout",
                                                "information_flow_edges",
                                                "information_flow_routes",
                                                "information_flow_span",
                                                "temperature_scope",
                                                "value_zeroing",
                                                "value_zeroing_rollout"};
  const NotANumber model;
  for (const std::string& method : methods()) {
    SCOPED_TRACE(method);
    const std::string found = error(model, method);
    if (without_scores.contains(method)) {
      EXPECT_EQ(found, "");
      continue;
    }
    EXPECT_NE(found.find("method '" + method + "'"), std::string::npos) << found;
    EXPECT_NE(found.find("step 1"), std::string::npos) << found;
    EXPECT_NE(found.find("finite"), std::string::npos) << found;
  }
}

}  // namespace
}  // namespace whence
