#include "text.h"

#include <gtest/gtest.h>

namespace whence::drawing {
namespace {

TEST(Printable, EscapesWhatWouldControlTheTerminal) {
  EXPECT_EQ(printable("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(printable(std::string_view("\0x\x7f", 3)), "\\x00x\\x7f");
  EXPECT_EQ(printable("\u009b31m"), "\\u009b31m") << "the one-letter form of ESC [";
}

TEST(Printable, EscapesWhatHidesOrReorders) {
  EXPECT_EQ(printable("a\u202eb\u2066c\u200fd"), "a\\u202eb\\u2066c\\u200fd");
  EXPECT_EQ(printable("zero\u200bwidth\u200djoiner\ufeff"), "zero\\u200bwidth\\u200djoiner\\ufeff");
  EXPECT_EQ(printable("\u2764\ufe0f"), "\u2764\\ufe0f");
  EXPECT_EQ(printable("\u2028\u00a0\u3000\U000e0041\ue000"), "\\u2028\\u00a0\\u3000\\U000e0041\\ue000");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(printable("ok\xffok"), "ok\\xffok");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
}

TEST(Printable, KeepsOrdinaryTextOfAnyScript) {
  for (const char* text : {"naïve", "日本語", "שלום", "👍", "e\u0301", "<|im_start|>"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, GivesLoneMarksABase) {
  EXPECT_EQ(printable("\u0301a"), "\u25cc\u0301a");
  EXPECT_EQ(printable("a\n\u0301"), "a\\n\u25cc\u0301");
}

TEST(DisplayWidth, CountsCells) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("👍"), 2);
  EXPECT_EQ(display_width(""), 0);
}

TEST(Shorten, CutsWholeCharactersOnly) {
  EXPECT_EQ(shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(shorten("abcdef", 5), "abcd…");
  EXPECT_EQ(shorten("日本語", 4), "日…");
  EXPECT_EQ(shorten("e\u0301e\u0301e\u0301", 2), "e\u0301…") << "the mark stays with its letter";
  EXPECT_EQ(shorten("ab", 1), "…");
  for (int columns = 1; columns < 12; ++columns)
    EXPECT_LE(display_width(shorten("日本e\u0301語 text", columns)), columns);
}

TEST(Pad, CountsCellsNotBytes) {
  EXPECT_EQ(pad_left("日", 4), "  日");
  EXPECT_EQ(pad_right("é", 3), "é  ");
  EXPECT_EQ(pad_left("long", 2), "long");
}

TEST(Wrap, BreaksAtBlanks) {
  EXPECT_EQ(wrap("one two three", 8), "one two\nthree\n");
  EXPECT_EQ(wrap("unbreakable x", 4), "unbreakable\nx\n");
}

}  // namespace
}  // namespace whence::drawing
