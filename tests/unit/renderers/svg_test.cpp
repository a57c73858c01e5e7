#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "outputs.h"
#include "picture.h"
#include "support/plugins.h"
#include "support/text_of_error.h"
#include "text.h"
#include "whence/error.h"

namespace whence {
namespace {

using namespace whence::testing;

Picture picture_of(const AttributionOutput& output, const Value::Map& params = {}) {
  return read_picture(built_plugins().make_renderer(choice("svg", params))->render(output, {}));
}

void expect_within(const Picture& picture) {
  for (const Box& box : picture.boxes) {
    EXPECT_GE(box.x, 0);
    EXPECT_LE(box.x + box.width, picture.width);
    EXPECT_LE(box.y + box.height, picture.height);
  }
  for (const Line& line : picture.lines) {
    const double length = drawing::display_width(line.text) * picture.letter;
    if (line.upward) {
      EXPECT_GE(line.y - length, 0) << line.text;
    } else {
      const double left = line.anchor == "end" ? line.x - length : line.x;
      EXPECT_GE(left, 0) << line.text;
      EXPECT_LE(left + length, picture.width) << line.text;
    }
    EXPECT_LE(line.y, picture.height) << line.text;
  }
}

TEST(Svg, DrawsABoxForEveryScore) {
  const Picture picture = picture_of(encoder_decoder());
  expect_within(picture);
  // The ground, 25 of the source, 1 to 5 of each step of the target, a rule above the step scores, the legend.
  EXPECT_EQ(picture.boxes.size(), 1u + 25 + 15 + 1 + 41);
  for (const char* text : {"source", "target", "1 ·日本", "jour 2", "probability", "0.25", "-0.82", "colours: -0.91"})
    EXPECT_TRUE(picture.has(text)) << text;
  EXPECT_EQ(picture.boxes.front().fill, "#ffffff");
  EXPECT_EQ(picture.boxes.back().fill, "#b40426");  // the end of the scale
}

TEST(Svg, TakesNoMoreThanItNeeds) {
  const Picture numbers = picture_of(encoder_decoder());
  double lowest = 0;
  for (const Line& line : numbers.lines) lowest = std::max(lowest, line.y);
  EXPECT_LT(numbers.height - lowest, 30);
  const Picture squares = picture_of(encoder_decoder(), {{"numbers", Value(false)}});
  expect_within(squares);
  EXPECT_EQ(squares.boxes.size(), numbers.boxes.size());
  EXPECT_FALSE(squares.has("-0.82"));
  const Picture large = picture_of(encoder_decoder(), {{"font_size", Value(22.0)}});
  expect_within(large);
  EXPECT_NEAR(large.width, 2 * numbers.width, 0.1);
  EXPECT_NEAR(large.height, 2 * numbers.height, 10);
}

TEST(Svg, WideTablesMakeWidePictures) {
  AttributionOutput output;
  SequenceAttribution sequence;
  for (int i = 0; i < 150; ++i) sequence.target.push_back({"Ġword" + std::to_string(i), i});
  sequence.source = {sequence.target.begin(), sequence.target.begin() + 50};
  sequence.steps = {50, 150};
  sequence.target_attributions = causal_scores(150, 50, 100, false);
  output.sequences.push_back(std::move(sequence));
  const Picture picture = picture_of(output);
  expect_within(picture);
  EXPECT_GT(picture.width, 100 * 5 * picture.letter);
  const Picture few = picture_of(output, {{"max_rows", number(3)}, {"decimals", number(1)}});
  expect_within(few);
  EXPECT_LT(few.height, picture.height / 4);
  EXPECT_TRUE(few.has("3 of 150 rows, those with the largest scores (max_rows)"));
}

TEST(Svg, HostileTextsStayText) {
  const Picture picture = picture_of(hostile());
  expect_within(picture);
  EXPECT_TRUE(picture.has("0 </script><script>alert(1)</sc…"));
  EXPECT_TRUE(picture.has("<img src=x>"));
  EXPECT_TRUE(picture.has("<b>\"bold\"</b>"));
  EXPECT_TRUE(picture.has("note: <i>note</i>"));
}

TEST(Svg, DarkGroundHasItsOwnColours) {
  const Picture picture = picture_of(encoder_decoder(), {{"theme", text("dark")}});
  EXPECT_EQ(picture.boxes.front().fill, "#17181c");
  EXPECT_EQ(picture.boxes.back().fill, "#ff9678");
}

TEST(Svg, DrawsAMapForEachStep) {
  AttributionOutput output = encoder_decoder();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.source_attributions = Tensor();
  sequence.target_attributions = at::zeros({6, 5, 2});
  sequence.granularity = {"layer_state"};
  const Picture picture = picture_of(output);
  expect_within(picture);
  EXPECT_TRUE(picture.has("step 1 ·Bon, columns: layer state"));
  EXPECT_TRUE(picture.has("all scores are zero"));
}

TEST(Svg, RefusesWhatItCannotDraw) {
  AttributionOutput output = encoder_decoder();
  output.sequences[0].source_attributions = Tensor();
  output.sequences[0].target_attributions = at::zeros({6, 5, 2, 3});
  output.sequences[0].granularity = {"layer", "head"};
  EXPECT_EQ(text_of_error<ConfigError>([&] { picture_of(output); }),
            "svg: sequence 0 has scores per layer, head, expected one per token and step; aggregate them first, for "
            "example with vnorm or mean");
  EXPECT_EQ(text_of_error<ConfigError>([&] { picture_of(output, {{"max_value", Value(0.0)}}); }),
            "svg: max_value is 0, expected the magnitude at the ends of the colour scale");
}

}  // namespace
}  // namespace whence
