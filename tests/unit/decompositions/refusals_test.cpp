// What these methods refuse, before any work.
#include "decomposition_fixture.h"
#include "support/fake_model.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::FakeModel;
using testing::number;
using testing::OnCheckpoint;
using testing::text_of_error;

TEST(Decompositions, NeedAModelThatShowsItsBlocks) {
  const FakeModel translator(ModelKind::encoder_decoder);
  const auto score = testing::built_plugins().make_step_function(testing::choice("logit"));
  const Problem problem(translator, *score, {testing::fake_sequence({3, 7, 2, 9}, {2, 4}, {2, 11, 6})}, {});
  for (const char* method : {"alti", "alti_logit", "attention_rollout", "information_flow_routes"})
    EXPECT_EQ(text_of_error([&] { testing::built_plugins().make_method(testing::choice(method))->attribute(problem); }),
              "method '" + std::string(method) +
                  "': the model fake (fake) cannot show its blocks in parts; use 'attention', or a model that can");
  EXPECT_EQ(problem.cost().forward_passes, 0);
}

TEST(Decompositions, NameALayerThatIsNotThere) {
  const OnCheckpoint on("qwen3");
  for (const char* method : {"attention_rollout", "gradient_attention_rollout"})
    EXPECT_EQ(text_of_error([&] { on.attribute(method, {{"start_layer", number(on.layers())}}); }),
              "start_layer: no layer 2: qwen3 has 2 layers, from 0 on");
}

TEST(Decompositions, SayWhatMemoryTheyNeed) {
  const auto model = transformer::load_model(transformer::architecture_cases() / "qwen3");
  const auto score = testing::built_plugins().make_step_function(testing::choice("logit"));
  Problem::Options options;
  options.memory_bytes = model->info().weight_bytes + 20000;
  Sequence sequence = testing::fake_sequence(TokenIds(20, 5), {10, 20});
  const Problem problem(*model, *score, {sequence}, options);
  for (const char* method : {"alti", "attention_rollout", "gradient_attention_rollout"}) {
    const std::string error = text_of_error<ConfigError>(
        [&] { testing::built_plugins().make_method(testing::choice(method))->attribute(problem); });
    EXPECT_TRUE(error.starts_with("memory: the budget of ")) << error;
    EXPECT_NE(error.find("; the least that works is "), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace whence
