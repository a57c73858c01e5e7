// The temperature scope against differences of the length of the final state.
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;

class TemperatureScopeTest : public testing::MethodTest {
 protected:
  /// [B,T]: lengths of the states that predict the steps, with other embeddings.
  static Tensor lengths(const Problem& texts, const Tensor& source, const Tensor& target) {
    Inputs inputs = texts.inputs();
    inputs.source_embeddings = source;
    inputs.target_embeddings = target;
    const Forward forward = texts.model().forward(
        inputs, {.positions = texts.predicting_positions(), .sites = {{Side::target, texts.model().info().layers}}});
    const Tensor length = at::linalg_vector_norm(forward.states[0], 2, -1);
    return length.gather(1, texts.predicting_positions().clamp_min(0)) * texts.step_mask();
  }

  /// [B,rows,T]: norms of the gradients of these lengths at one side, by central differences.
  static Tensor by_differences(const Problem& texts, Side side) {
    constexpr double kStep = 1e-2;
    const Tensor& own = texts.embeddings(side);
    Tensor squares = at::zeros({texts.batch_size(), texts.length(side), texts.steps()});
    for (std::int64_t row = 0; row < own.size(1); ++row)
      for (std::int64_t unit = 0; unit < own.size(2); ++unit) {
        Tensor moved[2];
        for (const int up : {0, 1}) {
          Tensor rows = own.clone();
          rows.select(1, row).select(1, unit).add_(up == 1 ? kStep : -kStep);
          moved[up] = side == Side::source ? lengths(texts, rows, texts.embeddings(Side::target))
                                           : lengths(texts, texts.embeddings(Side::source), rows);
        }
        squares.select(1, row).add_(((moved[1] - moved[0]) / (2 * kStep)).square());
      }
    return squares.sqrt();
  }
};

TEST_F(TemperatureScopeTest, IsTheGradientOfALength) {
  for (const bool with_source : {false, true}) {
    const Problem texts = problem("probability", with_source);
    const Attribution got = attribute(texts, "temperature_scope");
    EXPECT_TRUE(got.granularity.empty());
    const Tensor expected = by_differences(texts, Side::target);
    EXPECT_GT(expected.max().item<double>(), 0.05);
    // Rows that only pad the shorter text are no token of it.
    for (std::int64_t b = 0; b < 2; ++b) {
      const std::int64_t rows = texts.sequences()[static_cast<std::size_t>(b)].steps.end - 1;
      EXPECT_TRUE(near(got.target[b].narrow(0, 0, rows), expected[b].narrow(0, 0, rows), 2e-3, 2e-4)) << b;
    }
    if (!with_source) continue;
    const Tensor of_source = by_differences(texts, Side::source);
    for (std::int64_t b = 0; b < 2; ++b) {
      const auto rows = std::ssize(texts.sequences()[static_cast<std::size_t>(b)].source);
      EXPECT_TRUE(near(got.source[b].narrow(0, 0, rows), of_source[b].narrow(0, 0, rows), 2e-3, 2e-4)) << b;
    }
  }
}

TEST_F(TemperatureScopeTest, DoesNotDependOnTheScore) {
  EXPECT_TRUE(near(attribute(problem("logit"), "temperature_scope").target,
                   attribute(problem("entropy"), "temperature_scope").target, 0, 0));
}

/// As a model that offers none of the optional powers.
class PlainModel final : public testing::FakeModel {
 public:
  const void* query(std::string_view) const override { return nullptr; }
};

TEST_F(TemperatureScopeTest, NeedsAModelWithFinalStates) {
  const PlainModel model;
  const auto score = testing::built_plugins().make_step_function(testing::choice("logit"));
  const Problem texts(model, *score, {testing::fake_sequence({3, 7, 2}, {1, 3})}, {});
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { attribute(texts, "temperature_scope"); }),
            "method 'temperature_scope': the model fake (fake) has no derivatives of its final states; use 'saliency', "
            "or a model that does");
  EXPECT_EQ(texts.cost().forward_passes, 0);
}

}  // namespace
}  // namespace whence
