#include "ansi.h"

#include <gtest/gtest.h>

#include "palette.h"

namespace whence::terminal {
namespace {

using drawing::Rgb;

/// The two colours of "\x1b[38;2;r;g;b;48;2;r;g;bm".
std::pair<Rgb, Rgb> colors_of(const std::string& text) {
  Rgb letters, background;
  EXPECT_EQ(std::sscanf(text.c_str(), "\x1b[38;2;%d;%d;%d;48;2;%d;%d;%dm", &letters.red, &letters.green, &letters.blue,
                        &background.red, &background.green, &background.blue),
            6);
  return {letters, background};
}

TEST(Ansi, LettersAreReadableEverywhereOnTheScale) {
  for (int i = -100; i <= 100; ++i) {
    const auto [letters, background] = colors_of(on_heat("x", i / 100.0, ColorDepth::truecolor));
    EXPECT_EQ(background, drawing::heat_color(i / 100.0));
    EXPECT_GE(drawing::contrast(letters, background), 4.5) << i;
  }
}

TEST(Ansi, TakesTheNearestOf256ColoursOfCubeAndGreys) {
  EXPECT_EQ(on_heat("x", 0, ColorDepth::ansi256), "\x1b[38;5;16;48;5;253mx\x1b[0m");
  EXPECT_EQ(on_heat("x", 1, ColorDepth::ansi256), "\x1b[38;5;231;48;5;124mx\x1b[0m");
  EXPECT_EQ(on_heat("x", -1, ColorDepth::ansi256), "\x1b[38;5;231;48;5;61mx\x1b[0m");
}

TEST(Ansi, NothingIsAddedWithoutColours) {
  EXPECT_EQ(on_heat("x", 1, ColorDepth::none), "x");
  EXPECT_EQ(bold("x", ColorDepth::none), "x");
  EXPECT_EQ(bold("x", ColorDepth::ansi256), "\x1b[1mx\x1b[0m");
}

}  // namespace
}  // namespace whence::terminal
