#include "whence/units.h"

#include <gtest/gtest.h>

#include "support/pieces.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::pieces;
using Names = std::vector<std::string>;

Names names(const TokenText& text, UnitKind kind, const std::string& language = "en") {
  Names result;
  std::int64_t next = 0;
  for (const Label& unit : units_of(text, kind, language)) {
    EXPECT_EQ(unit.span.start, next) << "units are neighbours";
    EXPECT_GT(unit.span.size(), 0);
    next = unit.span.end;
    result.push_back(unit.name);
  }
  EXPECT_EQ(next, std::ssize(text.bytes)) << "no position is left out";
  return result;
}

TEST(Units, EveryTokenIsOne) {
  EXPECT_EQ(names(pieces({"<s>", "Un", "do", " it"}), UnitKind::token), (Names{"", "Un", "do", "it"}));
}

TEST(Units, WordsAreMadeOfPieces) {
  EXPECT_EQ(names(pieces({"<s>", "Un", "do", " it", " don", "'t", ",", " 3", ".", "14", "<e>"}), UnitKind::word),
            (Names{"", "Undo", "it", "don't", ",", "3.14", ""}));
}

TEST(Units, ABlankTokenGoesWithTheWordBehindIt) {
  const auto units = units_of(pieces({"the", " ", "c", "at", "<e>", " "}), UnitKind::word);
  ASSERT_EQ(units.size(), 4u);
  EXPECT_EQ(units[1].span, (Span{1, 4}));
  EXPECT_EQ(units_of(pieces({"at", " "}), UnitKind::word).size(), 1u) << "there is no word behind it";
}

TEST(Units, ANewlineEndsWhatStandsBeforeIt) {
  for (const UnitKind kind : {UnitKind::word, UnitKind::sentence, UnitKind::line, UnitKind::paragraph}) {
    const auto units = units_of(pieces({"one", "\n\n", "two"}), kind);
    ASSERT_EQ(units.size(), 2u);
    EXPECT_EQ(units[0].span, (Span{0, 2}));
    EXPECT_EQ(units[0].name, "one");
  }
}

TEST(Units, WordsOfWritingWithoutBlanks) {
  EXPECT_EQ(names(pieces({"我", "喜", "欢", "巴黎"}), UnitKind::word), (Names{"我", "喜欢", "巴黎"}));
}

TEST(Units, BytesOfOneCharacterStayTogether) {
  TokenText text{"x é", {{0, 1}, {1, 4}, {1, 4}}, {false, false, false}};
  EXPECT_EQ(names(text, UnitKind::word), (Names{"x", "é"}));
}

TEST(Units, SentencesDoNotEndAtAbbreviations) {
  const TokenText text = pieces({"Mr", ".", " Smith", " left", ".", " He", " was", " sick", ".", "\n", "Why", "?"});
  EXPECT_EQ(names(text, UnitKind::sentence), (Names{"Mr. Smith left.", "He was sick.", "Why?"}));
  const TokenText german = pieces({"Das", " gilt", " z", ".", "B", ".", " Ende", ".", " Ja", "."});
  EXPECT_EQ(names(german, UnitKind::sentence, "de"), (Names{"Das gilt z.B. Ende.", "Ja."}));
}

TEST(Units, SentencesOfOtherScripts) {
  EXPECT_EQ(names(pieces({"これ", "は", "ペン。", "それ", "も。"}), UnitKind::sentence),
            (Names{"これはペン。", "それも。"}));
}

TEST(Units, ATokenLiesWhereItsFirstLetterDoes) {
  EXPECT_EQ(names(pieces({"Yes", ". No", " way", "."}), UnitKind::sentence), (Names{"Yes. No", "way."}));
}

TEST(Units, LinesAndParagraphs) {
  const TokenText text = pieces({"a", " b", "\n", "c", ".", "\n", " \n", "d", "\n"});
  EXPECT_EQ(names(text, UnitKind::line), (Names{"a b", "c.", "d"}));
  EXPECT_EQ(names(text, UnitKind::paragraph), (Names{"a b\nc.", "d"}));
}

TEST(Units, EachKindLiesWithinTheNext) {
  const TokenText text =
      pieces({"<s>", "A", " b", ".", " C", "\n", "d", ",", " e", "\n\n", "F", "<e>", "g", "\n", "h"});
  const UnitKind kinds[] = {UnitKind::token, UnitKind::word, UnitKind::sentence, UnitKind::line, UnitKind::paragraph};
  for (std::size_t k = 1; k < std::size(kinds); ++k) {
    const auto inner = units_of(text, kinds[k - 1]);
    for (const Label& outer : units_of(text, kinds[k]))
      EXPECT_TRUE(std::any_of(inner.begin(), inner.end(), [&](const Label& unit) {
        return unit.span.start == outer.span.start;
      })) << outer.name;
  }
}

TEST(Units, AreKnownByName) {
  EXPECT_EQ(unit_kind("paragraph"), UnitKind::paragraph);
  EXPECT_EQ(testing::text_of_error<UnknownName>([] { unit_kind("sentense"); }),
            "unknown unit 'sentense'; did you mean 'sentence'? known: line, paragraph, sentence, token, word");
}

}  // namespace
}  // namespace whence
