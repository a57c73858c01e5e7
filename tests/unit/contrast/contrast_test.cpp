#include "host/contrast.h"

#include <gtest/gtest.h>

#include "host/attribute.h"
#include "host/yaml.h"
#include "support/fake_model.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using testing::FakeModel;
using testing::text_of_error;
using Positions = std::vector<std::int64_t>;

TEST(RightPositions, CountFromTheEnd) {
  EXPECT_EQ(right_positions({3, 6}, 4), (Positions{1, 2, 3}));
  EXPECT_EQ(right_positions({3, 6}, 9), (Positions{6, 7, 8}));
  EXPECT_EQ(right_positions({3, 6}, 3), (Positions{2, 1, 2})) << "the first token has none before it";
  EXPECT_EQ(right_positions({3, 6}, 2), (Positions{1, 1, 1}));
}

TEST(PartnerPositions, PutTokensWithoutPartnerBehindTheOneBefore) {
  EXPECT_EQ(partner_positions({0, 1, 2, 4}, {2, 4}, 5), (Positions{2, 4}));
  EXPECT_EQ(partner_positions({0, 1, -1, -1, 2}, {2, 5}, 4), (Positions{2, 2, 2}));
  EXPECT_EQ(partner_positions({-1, -1, 0}, {1, 3}, 4), (Positions{1, 1})) << "the first token has none before it";
  EXPECT_EQ(partner_positions({0, 3, -1}, {1, 3}, 4), (Positions{3, 3})) << "nothing stands behind the end";
  EXPECT_EQ(partner_positions({0, 3, 1, -1}, {1, 4}, 5), (Positions{3, 1, 2})) << "partners may cross";
}

/// Inputs as an experiment has them, prepared for the fake model.
class PrepareContrast : public ::testing::Test {
 protected:
  FakeModel model, aligner;
  std::string asked;  ///< of the aligner
  PrepareOptions options;

  PrepareContrast() {
    options.find_aligner = [this](const AlignmentChoice& choice) -> const Model& {
      asked = choice.model;
      return aligner;
    };
  }

  static Experiment experiment(const std::string& input, const std::string& attributions) {
    return parse_experiment(
        parse_yaml("model: /m\ninputs:\n  - {" + input + "}\nattributions: " + attributions + "\n", "e.yaml"), "/base");
  }

  std::vector<PreparedText> prepare(const std::string& input) const {
    return prepare_sequences(model, experiment(input, "saliency").inputs, {}, options);
  }
  Positions positions(const std::string& input) const {
    return prepare("text: t3 t7, generated: t3 t7 t2 t9 t4, " + input).front().sequence.contrast->positions;
  }
  std::string error_of(const std::string& input) const {
    return text_of_error<InputError>([&] { prepare("text: t3 t7, generated: t3 t7 t2 t9 t4, " + input); });
  }
};

TEST_F(PrepareContrast, TokenisesTheTargetAsTheText) {
  const PreparedText text = prepare("text: t3 t7, generated: t3 t7 t2 t9, contrast_target: t5 t6 t8").front();
  const Contrast& contrast = *text.sequence.contrast;
  EXPECT_EQ(contrast.target, (std::vector<Token>{{"t5", 5}, {"t6", 6}, {"t8", 8}}));
  EXPECT_TRUE(contrast.source.empty());
  EXPECT_EQ(contrast.positions, (Positions{1, 2}));
  EXPECT_EQ(text.contrast->target, "t5 t6 t8");
  EXPECT_FALSE(prepare("text: t3, generated: t3 t7").front().sequence.contrast);
}

TEST_F(PrepareContrast, EndsTheTargetAsTheText) {
  const auto length = [&](const std::string& generated, const std::string& target) {
    const auto texts = prepare("text: t3, generated: " + generated + ", contrast_target: " + target);
    return texts.front().sequence.contrast->target.size();
  };
  EXPECT_EQ(length("t3 t7 t1", "t5 t6"), 3u) << "t1 ends texts";
  EXPECT_EQ(length("t3 t7 t1", "t5 t6 t1"), 3u);
  EXPECT_EQ(length("t3 t7", "t5 t6"), 2u);
}

TEST_F(PrepareContrast, TakesPairsAndCountsTheOtherStepsFromTheEnd) {
  const std::string target = "contrast_target: t5 t6 t8 t2 t4 t9, ";
  EXPECT_EQ(positions(target + "contrast_alignment: right"), (Positions{3, 4, 5}));
  EXPECT_EQ(positions(target + "contrast_alignment: [[2, 4]]"), (Positions{4, 4, 5}));
  EXPECT_EQ(positions(target + "contrast_alignment: [[4, 1], [2, 5]]"), (Positions{5, 4, 1}));
}

TEST_F(PrepareContrast, AlignsByTokensAndByStates) {
  const std::string target = "contrast_target: t5 t2 t4 t9, ";
  EXPECT_EQ(positions(target + "contrast_alignment: auto"), (Positions{1, 3, 3})) << "t2, t9, and behind it nothing";
  EXPECT_EQ(asked, "");
  const auto crossing =
      prepare("text: t3, generated: t3 t7 t9, contrast_target: t9 t3 t7, contrast_alignment: {model: a, layer: 0}");
  EXPECT_EQ(asked, "/base/a");
  EXPECT_EQ(crossing.front().sequence.contrast->positions, (Positions{2, 1})) << "t7, and t9 has none before it";
}

TEST_F(PrepareContrast, NamesWhatCannotBeCompared) {
  EXPECT_EQ(error_of("contrast_source: t5"),
            "e.yaml:3:5: input '0': contrast_source has no effect, since model 'fake' has no source; give a "
            "contrast_target, which holds the prompt, too");
  EXPECT_EQ(error_of("contrast_target: t5"),
            "e.yaml:3:5: input '0': the contrastive target 't5' makes 1 token(s); expected at least 2, since a token "
            "needs one before it that predicts it");
  EXPECT_EQ(error_of("contrast_target: t5 t6, contrast_alignment: [[5, 1]]"),
            "e.yaml:3:5: input '0': the pair [5, 1] of contrast_alignment names position 5 of the text, which is not "
            "explained; expected 2 to 4");
  EXPECT_EQ(error_of("contrast_target: t5 t6, contrast_alignment: [[2, 2]]"),
            "e.yaml:3:5: input '0': the pair [2, 2] of contrast_alignment names position 2 of the contrastive target; "
            "it has 2 tokens, so expected 1 to 1");
}

}  // namespace
}  // namespace whence::host
