#include "palette.h"

#include <gtest/gtest.h>

namespace whence::drawing {
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

TEST(Palette, LettersAreReadableEverywhereOnBothGrounds) {
  for (const Palette& palette : {kLightPalette, kDarkPalette})
    for (int i = -100; i <= 100; ++i) {
      const Rgb ground = heat_color(i / 100.0, palette);
      EXPECT_GE(contrast(letters_on(ground), ground), 4.5) << i;
    }
}

TEST(Palette, SignsDifferInLightnessFromZeroAndInHueFromEachOther) {
  for (const Palette& palette : {kLightPalette, kDarkPalette}) {
    EXPECT_GT(contrast(palette[0], palette[2]), 3);
    EXPECT_GT(contrast(palette[4], palette[2]), 3);
    EXPECT_GT(palette[0].blue, palette[0].red);
    EXPECT_GT(palette[4].red, palette[4].blue);
  }
}

}  // namespace
}  // namespace whence::drawing
