// What every renderer says about a context attribution.
#include "context_words.h"

#include <gtest/gtest.h>

#include "context_results.h"

namespace whence::drawing {
namespace {

using whence::testing::context_result;

std::vector<std::string> texts(const std::vector<Line>& lines) {
  std::vector<std::string> list;
  for (const Line& line : lines) {
    list.emplace_back();
    for (const Piece& piece : line) list.back() += piece.text;
  }
  return list;
}

using Texts = std::vector<std::string>;

TEST(Flow, BreaksLinesAtBlanks) {
  EXPECT_EQ(texts(flow({{"one two"}, {" three"}}, 8)), (Texts{"one two ", "three"}));
  EXPECT_EQ(texts(flow({{"hos"}, {"pital"}, {" bed"}}, 9)), (Texts{"hospital ", "bed"}));
  EXPECT_EQ(texts(flow({{"a hos"}, {"pital"}}, 8)), (Texts{"a ", "hospital"}));  // the word stays together
  EXPECT_EQ(texts(flow({{"日本"}, {"語"}}, 4)), (Texts{"日本", "語"}));          // no blanks: between pieces
  EXPECT_EQ(texts(flow({{"longer"}}, 3)), (Texts{"longer"}));
  EXPECT_EQ(texts(flow({}, 3)), Texts{});
  Piece line{"a"};
  line.ends_line = true;
  EXPECT_EQ(texts(flow({line, {"b"}}, 80)), (Texts{"a", "b"}));
}

TEST(Flow, LeavesStrongPiecesWhole) {
  Piece cue{"[a b](0.50)", 0.5, true};
  const std::vector<Line> lines = flow({{"x "}, cue}, 8);
  ASSERT_EQ(texts(lines), (Texts{"x ", "[a b](0.50)"}));
  EXPECT_TRUE(lines[1][0].strong);
  EXPECT_EQ(lines[1][0].score, 0.5);
}

TEST(ContextWords, NamesWhatWasAsked) {
  const ContextAttribution result = context_result();
  EXPECT_EQ(heading(result), "saliency of contrast_prob_diff, tiny");
  // Mean -0.5, standard deviation 1.33.
  EXPECT_EQ(selection_text(result, 2), "1 of 4 tokens depend on context: |pcxmi| ≥ 0.17 (mean + 0.5 std, top 1)");
  EXPECT_EQ(rule_text(cue_rule(result)), "mean");
  EXPECT_EQ(heading(ContextAttribution{}), "");
  EXPECT_EQ(selection_text(ContextAttribution{}, 2),
            "no token depends on context: |context sensitivity| ≥ 0.00 (mean + 1 std)");
}

TEST(ContextWords, CuesOfBothContextsShareAThreshold) {
  ContextAttribution result = context_result();
  const StrongCues cues = strong_cues(result.selected[0], cue_rule(result));
  EXPECT_FLOAT_EQ(cues.threshold, 0.15F);  // 1.5 / 10
  EXPECT_EQ(cues.input, (std::vector<std::int64_t>{2, 4, 1}));
  EXPECT_EQ(cues.output, std::vector<std::int64_t>{1});
  result.info = {{"attribution_topk", Value(std::int64_t{1})}, {"attribution_std_threshold", Value(0.0)}};
  const StrongCues strongest = strong_cues(result.selected[0], cue_rule(result));
  EXPECT_EQ(strongest.input, std::vector<std::int64_t>{2});  // one of each context
  EXPECT_EQ(strongest.output, std::vector<std::int64_t>{1});
}

TEST(ContextWords, RanksUnits) {
  const ContextAttribution result = context_result();
  const std::vector<RankedUnit> units = ranked_units(*result.input_context, {{}, {-0.5F, 1.25F}});
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].name, "It rained.");
  EXPECT_EQ(units[0].index, 1);
  EXPECT_EQ(units[1].score, -0.5F);
  EXPECT_EQ(ranked_units(*result.input_context, {{}, {0, 1}}).size(), 1u);
}

TEST(ContextWords, LongContextsAreShownAroundTheirCues) {
  ContextAttribution result = context_result();
  result.input_context->tokens.assign(1000, "Ġword");
  CueScores cues{std::vector<float>(1000, 0), {}};
  cues.tokens[500] = 1;
  const Texts lines = texts(flow(ContextWords(result, {}).context(*result.input_context, cues, {500}), 10000));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].find("[word](1.00)"), lines[0].rfind("[word]"));
  EXPECT_TRUE(lines[0].starts_with("… "));
  EXPECT_TRUE(lines[0].ends_with(" … "));
  EXPECT_LT(lines[0].size(), 200u);
}

}  // namespace
}  // namespace whence::drawing
