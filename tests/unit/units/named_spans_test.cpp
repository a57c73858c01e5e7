#include "whence/named_spans.h"

#include <gtest/gtest.h>

#include "support/pieces.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::pieces;
using testing::text_of_error;

Value range(std::int64_t start, std::int64_t end) { return Value(Value::List{Value(start), Value(end)}); }
Value text(const std::string& words) { return Value(words); }

std::vector<Label> find(const TokenText& where, Value::List items) {
  return find_spans(where, read_span_choices(Value(std::move(items))), "sequence '0'");
}

const TokenText kText = pieces({"<s>", "Zoë", " loves", " Par", "is", ".", " Paris", " is", " old"});

TEST(NamedSpans, HoldTheTokensThatWriteThem) {
  EXPECT_EQ(find(kText, {text("loves")}), (std::vector<Label>{{"loves", {2, 3}}}));
  EXPECT_EQ(find(kText, {text("ari")}), (std::vector<Label>{{"ari", {3, 5}}, {"ari", {6, 7}}}));
  EXPECT_EQ(find(kText, {text("Zoë ")}), (std::vector<Label>{{"Zoë ", {1, 2}}})) << "a blank alone is no letter of it";
}

TEST(NamedSpans, CountCharactersNotBytes) {
  EXPECT_EQ(find(kText, {Value(Value::Map{{"characters", range(4, 9)}})}), (std::vector<Label>{{" loves", {2, 3}}}));
}

TEST(NamedSpans, MayBePositionsAndHaveNames) {
  EXPECT_EQ(find(kText, {Value(Value::Map{{"tokens", range(6, 8)}, {"name", text("claim")}}), text("Zoë")}),
            (std::vector<Label>{{"Zoë", {1, 2}}, {"claim", {6, 8}}}))
      << "they come in the order of the text";
}

TEST(NamedSpans, ThatAreNotThereAreErrors) {
  const TokenText small = pieces({"a", " b"});
  const std::string rest = " is not in the text, which has 2 tokens that write 'a b'; write it as it stands there";
  EXPECT_EQ(text_of_error<InputError>([&] { find(small, {text("c")}); }), "sequence '0': the span 'c'" + rest);
  EXPECT_EQ(text_of_error<InputError>([&] { find(small, {Value(Value::Map{{"tokens", range(1, 3)}})}); }),
            "sequence '0': the span of tokens [1, 3)" + rest);
  EXPECT_EQ(text_of_error<InputError>([&] { find(small, {Value(Value::Map{{"characters", range(2, 4)}})}); }),
            "sequence '0': the span of characters [2, 4)" + rest);
  EXPECT_EQ(text_of_error<InputError>([&] { find(small, {text("a b"), text("b")}); }),
            "sequence '0': the spans 'a b' and 'b' share a token; give spans that do not overlap");
}

TEST(NamedSpans, AreCheckedWhenTheyAreRead) {
  const auto error = [](Value item) {
    return text_of_error<ConfigError>([&] { read_span_choices(Value(Value::List{std::move(item)})); });
  };
  EXPECT_EQ(error(Value(Value::Map{})), "a span is given by one of text, characters and tokens");
  EXPECT_EQ(error(Value(Value::Map{{"text", text("a")}, {"tokens", range(0, 1)}})),
            "a span is given by one of text, characters and tokens");
  EXPECT_EQ(error(Value(Value::Map{{"tokens", range(2, 2)}})), "expected 0 <= start < end, found [2, 2)");
  EXPECT_EQ(error(text("")), "expected the text of a span, found an empty one");
  EXPECT_EQ(error(Value(Value::Map{{"text", text("a")}, {"side", text("sauce")}})),
            "unknown side 'sauce'; did you mean 'source'? known: source, target");
}

}  // namespace
}  // namespace whence
