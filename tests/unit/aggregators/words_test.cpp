#include "support/plugins.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence {
namespace {

using testing::choice;
using testing::near;
using testing::numbers;
using testing::span;
using testing::text;

using Texts = std::vector<std::string>;

/// The texts as target, without attributions.
SequenceAttribution target_of(const Texts& texts) {
  SequenceAttribution sequence;
  for (const std::string& each : texts) sequence.target.push_back({each, 5});
  sequence.steps = {1, std::ssize(texts)};
  return sequence;
}

Texts words(const Texts& texts, Value::Map params = {}) {
  SequenceAttribution sequence = target_of(texts);
  testing::built_plugins().make_aggregator(choice("subwords", std::move(params)))->apply(sequence);
  Texts merged;
  for (const Token& token : sequence.target) merged.push_back(token.text);
  return merged;
}

Value list(const Texts& texts) {
  Value::List items;
  for (const std::string& each : texts) items.push_back(text(each));
  return Value(std::move(items));
}

TEST(Subwords, MergesTheLastWordToo) {
  EXPECT_EQ(words({"▁the", "▁un", "do"}), (Texts{"▁the", "▁undo"}));
  EXPECT_EQ(words({"▁the", "▁un", "do", "ing"}, {{"compat", text("reference")}}), (Texts{"▁the", "▁undo", "ing"}));
  EXPECT_EQ(words({"▁the", "▁un", "do"}, {{"compat", text("reference")}}), (Texts{"▁the", "▁un", "do"}));
}

TEST(Subwords, FindsTheMarkersOfByteLevelVocabularies) {
  EXPECT_EQ(words({"The", "Ġnur", "se", "Ċ", "He", "Ġs", "aid"}), (Texts{"The", "Ġnurse", "ĊHe", "Ġsaid"}));
}

TEST(Subwords, AnUnmarkedFirstTokenStartsTheFirstWord) {
  EXPECT_EQ(words({"Un", "do", "Ġit"}), (Texts{"Undo", "Ġit"}));
}

TEST(Subwords, SpecialTokensStandAlone) {
  EXPECT_EQ(words({"<s>", "<s>", "▁ha", "ppy", "</s>"}), (Texts{"<s>", "<s>", "▁happy", "</s>"}));
  EXPECT_EQ(words({"<|im_start|>", "user", "Ċ", "Hi", "<|im_end|>"}),
            (Texts{"<|im_start|>", "user", "ĊHi", "<|im_end|>"}));
  EXPECT_EQ(words({"▁a", "<s>", "b"}, {{"compat", text("reference")}}), (Texts{"▁a<s>", "b"}));
}

TEST(Subwords, BytesOfACharacterBelongToTheWord) {
  EXPECT_EQ(words({"▁a", "<0xC3>", "<0xA9>", "▁b"}), (Texts{"▁a<0xC3><0xA9>", "▁b"}));
}

TEST(Subwords, PunctuationBelongsToTheWordBefore) { EXPECT_EQ(words({"▁a", ".", "▁b"}), (Texts{"▁a.", "▁b"})); }

TEST(Subwords, ContinuationMarkers) {
  EXPECT_EQ(words({"un", "##do", "##ing", "it"}, {{"special_chars", list({"##"})}, {"is_suffix_symbol", Value(true)}}),
            (Texts{"un##do##ing", "it"}));
}

TEST(Subwords, NothingMergesWithoutMarkers) {
  EXPECT_EQ(words({"a", "b"}), (Texts{"a", "b"}));
  EXPECT_EQ(words({"▁a", "b"}, {{"special_chars", list({"Ġ"})}}), (Texts{"▁a", "b"}));
}

TEST(Subwords, SidesCanBeLeftOut) {
  SequenceAttribution sequence = target_of({"▁a", "b"});
  sequence.source = {{"▁c", 1}, {"d", 2}};
  testing::built_plugins().make_aggregator(choice("subwords", {{"aggregate_target", Value(false)}}))->apply(sequence);
  EXPECT_EQ(sequence.target.size(), 2u);
  ASSERT_EQ(sequence.source.size(), 1u);
  EXPECT_EQ(sequence.source[0], (Token{"▁cd", -1}));
}

TEST(Subwords, MergesScoresWithTheFunctionGiven) {
  SequenceAttribution sequence = target_of({"▁a", "▁b", "c"});
  sequence.target_attributions = numbers({3, 2}, {1, 3, 0, 2, 0, 0});
  sequence.step_scores["probability"] = numbers({2}, {0.5, 0.5});
  sequence.step_score_merges["probability"] = "prod";
  SequenceAttribution mean = sequence;
  testing::built_plugins().make_aggregator(choice("subwords", {{"function", text("mean")}}))->apply(mean);
  EXPECT_TRUE(near(mean.target_attributions, numbers({2, 1}, {2, 0.5})));
  EXPECT_TRUE(near(mean.step_scores["probability"], numbers({1}, {0.5})));
  testing::built_plugins().make_aggregator(choice("subwords"))->apply(sequence);
  EXPECT_TRUE(near(sequence.target_attributions, numbers({2, 1}, {3, 2})));
  EXPECT_TRUE(near(sequence.step_scores["probability"], numbers({1}, {0.25})));
}

TEST(Spans, MergesWhatIsNamed) {
  SequenceAttribution sequence = target_of({"a", "b", "c"});
  const Value spans(Value::List{span(0, 2)});
  testing::built_plugins().make_aggregator(choice("spans", {{"target_spans", spans}}))->apply(sequence);
  ASSERT_EQ(sequence.target.size(), 2u);
  EXPECT_EQ(sequence.target[0], (Token{"ab", -1}));
  EXPECT_EQ(sequence.steps, (Span{0, 2}));
}

TEST(Spans, NamesTheSpanThatIsWrong) {
  const std::string error = testing::text_of_error([] {
    SequenceAttribution sequence = target_of({"a", "b", "c"});
    const Value spans(Value::List{span(1, 5)});
    testing::built_plugins().make_aggregator(choice("spans", {{"target_spans", spans}}))->apply(sequence);
  });
  EXPECT_NE(error.find("target_spans: span [1, 5] is outside the 3 target tokens"), std::string::npos) << error;
}

}  // namespace
}  // namespace whence
