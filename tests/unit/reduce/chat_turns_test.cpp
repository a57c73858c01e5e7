#include "whence/chat_turns.h"

#include <gtest/gtest.h>

#include "whence/merge_spans.h"

namespace whence {
namespace {

using enum LabelKind;
using Spans = std::vector<Span>;

/// "<s> [user] hi there [/user] [assistant] hello", with a span somebody named.
const std::vector<Label> kChat{{"", {0, 1}, markup},
                               {"greeting", {2, 4}},
                               {"user", {1, 2}, markup, 0},
                               {"user", {2, 4}, content, 0},
                               {"user", {4, 5}, markup, 0},
                               {"assistant", {5, 6}, markup, 1},
                               {"assistant", {6, 7}, content, 1}};

TEST(ChatTurns, CollectsLabelsByTurn) {
  const auto turns = chat_turns(kChat);
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].index, 0);
  EXPECT_EQ(turns[0].role, "user");
  EXPECT_EQ(turns[0].spans, (Spans{{1, 5}}));
  EXPECT_EQ(turns[0].contents, (Spans{{2, 4}}));
  EXPECT_EQ(turns[1].role, "assistant");
  EXPECT_EQ(turns[1].spans, (Spans{{5, 7}}));
  EXPECT_EQ(turns[1].contents, (Spans{{6, 7}}));
}

TEST(ChatTurns, AMessageInsideAnotherLeavesItInPieces) {
  const auto turns = chat_turns({{"user", {0, 1}, markup, 1},
                                 {"system", {1, 2}, content, 0},
                                 {"user", {2, 3}, markup, 1},
                                 {"user", {3, 5}, content, 1}});
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].spans, (Spans{{1, 2}}));
  EXPECT_EQ(turns[1].spans, (Spans{{0, 1}, {2, 5}}));
  EXPECT_EQ(turns[1].contents, (Spans{{3, 5}}));
}

TEST(ChatTurns, AnEmptyMessageHasNoContent) {
  const auto turns = chat_turns({{"user", {0, 2}, markup, 0}, {"user", {2, 2}, content, 0}});
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(turns[0].spans, (Spans{{0, 2}}));
  EXPECT_TRUE(turns[0].contents.empty());
}

TEST(ChatTurns, ThereAreNoneWithoutAChat) {
  EXPECT_TRUE(chat_turns({}).empty());
  EXPECT_TRUE(chat_turns({{"passage", {0, 4}}}).empty());
}

TEST(ChatTurns, FollowMergedTokens) {
  SequenceAttribution sequence;
  sequence.target.resize(7);
  sequence.target_labels = kChat;
  sequence.steps = {6, 7};
  merge_spans(sequence, {.target_spans = {{1, 5}, {5, 7}}});
  const auto turns = chat_turns(sequence.target_labels);
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].spans, (Spans{{1, 2}}));
  EXPECT_EQ(turns[1].spans, (Spans{{2, 3}}));
}

}  // namespace
}  // namespace whence
