#include "palette.h"

#include <gtest/gtest.h>

namespace whence::terminal {
namespace {

TEST(Palette, RunsFromBlueOverGreyToRed) {
  EXPECT_EQ(heat_color(-1), (Rgb{59, 76, 192}));
  EXPECT_EQ(heat_color(0), (Rgb{221, 221, 221}));
  EXPECT_EQ(heat_color(0.5), (Rgb{244, 152, 122}));
  EXPECT_EQ(heat_color(1), (Rgb{180, 4, 38}));
  EXPECT_EQ(heat_color(7), heat_color(1));
  EXPECT_EQ(heat_color(-7), heat_color(-1));
}

TEST(Palette, ContrastFollowsTheStandard) {
  EXPECT_NEAR(contrast({0, 0, 0}, {255, 255, 255}), 21.0, 1e-9);
  EXPECT_NEAR(contrast({255, 255, 255}, {119, 119, 119}), 4.478, 1e-3);
}

/// The two colours of "\x1b[38;2;r;g;b;48;2;r;g;bm".
std::pair<Rgb, Rgb> colors_of(const std::string& text) {
  Rgb letters, background;
  EXPECT_EQ(std::sscanf(text.c_str(), "\x1b[38;2;%d;%d;%d;48;2;%d;%d;%dm", &letters.red, &letters.green, &letters.blue,
                        &background.red, &background.green, &background.blue),
            6);
  return {letters, background};
}

TEST(Palette, LettersAreReadableEverywhereOnTheScale) {
  for (int i = -100; i <= 100; ++i) {
    const auto [letters, background] = colors_of(on_heat("x", i / 100.0, ColorDepth::truecolor));
    EXPECT_EQ(background, heat_color(i / 100.0));
    EXPECT_GE(contrast(letters, background), 4.5) << i;
  }
}

TEST(Palette, Ansi256TakesTheNearestColourOfCubeAndGreys) {
  EXPECT_EQ(on_heat("x", 0, ColorDepth::ansi256), "\x1b[38;5;16;48;5;253mx\x1b[0m");
  EXPECT_EQ(on_heat("x", 1, ColorDepth::ansi256), "\x1b[38;5;231;48;5;124mx\x1b[0m");
  EXPECT_EQ(on_heat("x", -1, ColorDepth::ansi256), "\x1b[38;5;231;48;5;61mx\x1b[0m");
}

TEST(Palette, NothingIsAddedWithoutColours) {
  EXPECT_EQ(on_heat("x", 1, ColorDepth::none), "x");
  EXPECT_EQ(bold("x", ColorDepth::none), "x");
  EXPECT_EQ(bold("x", ColorDepth::ansi256), "\x1b[1mx\x1b[0m");
}

}  // namespace
}  // namespace whence::terminal
