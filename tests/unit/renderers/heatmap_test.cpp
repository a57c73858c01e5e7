#include "heatmap.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "outputs.h"
#include "text.h"
#include "whence/error.h"

namespace whence::terminal {
namespace {

using namespace whence::testing;

/// A decoder-only sequence of 14 tokens, explained from position 9 on.
AttributionOutput decoder_only() {
  SequenceAttribution sequence;
  sequence.target = tokens({"<|im_start|>", "George", "Ġwas", "Ġsick", "Ġyesterday", ".", "Ġasked", "Ġhim", "Ġto",
                            "Ġcome", "Ġover", ".", "Ċ", "Ġunconstitutionally"});
  sequence.source = {sequence.target.begin(), sequence.target.begin() + 9};
  sequence.steps = {9, 14};
  sequence.target_attributions = causal_scores(14, 9, 5, false);
  sequence.step_scores["entropy"] = at::tensor({1.5, 2.25, 0.125, 3.0, 0.0});
  sequence.step_scores["top_p_size"] = at::tensor({17, 17024, 3, 1, 2}, at::kLong);
  AttributionOutput output;
  output.info = {{"attribution_method", Value(std::string("integrated_gradients"))},
                 {"attributed_fn", Value(std::string("probability_fn"))},
                 {"model_name", Value(std::string("tiny"))}};
  output.sequences.push_back(std::move(sequence));
  return output;
}

AttributionOutput long_input() {
  SequenceAttribution sequence;
  for (int i = 0; i < 60; ++i) sequence.target.push_back({"Ġword" + std::to_string(i), i});
  sequence.source = sequence.target;
  for (int i = 60; i < 90; ++i) sequence.target.push_back({"Ġnext" + std::to_string(i), i});
  sequence.steps = {60, 90};
  sequence.target_attributions = causal_scores(90, 60, 30, false);
  AttributionOutput output;
  output.sequences.push_back(std::move(sequence));
  return output;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string without_colors(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\x1b')
      i = text.find('m', i);
    else
      plain += text[i];
  return plain;
}

/// Compares with tests/data/terminal/<name>.txt; WHENCE_UPDATE_GOLDEN=1 writes it instead. Checks the width of every
/// line, too.
void expect_golden(const std::string& name, const AttributionOutput& output, const Canvas& canvas,
                   const HeatmapOptions& options = {}) {
  const std::string drawn = draw_heatmaps(output, canvas, options);
  for (const std::string& line : lines_of(without_colors(drawn)))
    EXPECT_LE(drawing::display_width(line), canvas.columns) << line;
  const std::string path = std::string(WHENCE_TEST_DATA) + "/terminal/" + name + ".txt";
  if (std::getenv("WHENCE_UPDATE_GOLDEN")) {
    std::ofstream(path, std::ios::binary) << drawn;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(drawn, expected) << path;
}

TEST(Heatmap, DecoderOnlyWithoutColours) {
  expect_golden("decoder_only_40", decoder_only(), {40, ColorDepth::none});
  expect_golden("decoder_only_80", decoder_only(), {80, ColorDepth::none});
  expect_golden("decoder_only_200", decoder_only(), {200, ColorDepth::none});
}

TEST(Heatmap, DecoderOnlyInColours) {
  expect_golden("decoder_only_80_256", decoder_only(), {80, ColorDepth::ansi256});
  expect_golden("decoder_only_80_true", decoder_only(), {80, ColorDepth::truecolor});
  expect_golden("decoder_only_40_true", decoder_only(), {40, ColorDepth::truecolor});
}

TEST(Heatmap, EncoderDecoder) {
  expect_golden("encoder_decoder_80", encoder_decoder(), {80, ColorDepth::none});
  expect_golden("encoder_decoder_80_true", encoder_decoder(), {80, ColorDepth::truecolor});
  expect_golden("encoder_decoder_80_shades", encoder_decoder(), {80, ColorDepth::none}, {.shades = true});
}

TEST(Heatmap, LongInputIsCutIntoBlocksAndRows) {
  AttributionOutput output = long_input();
  Tensor& scores = output.sequences[0].target_attributions;
  scores[17] *= 3;
  scores[42] *= -2;
  scores[58] *= 2;
  expect_golden("long_80_rows", output, {80, ColorDepth::none}, {.tables = {.max_rows = 3}});
  expect_golden("long_200", long_input(), {200, ColorDepth::none});
}

TEST(Heatmap, ColoursChangeNothingButColours) {
  for (const auto& output : {decoder_only(), encoder_decoder(), long_input()}) {
    const std::string plain = draw_heatmaps(output, {80, ColorDepth::none}, {});
    for (const ColorDepth depth : {ColorDepth::ansi256, ColorDepth::truecolor}) {
      std::vector<std::string> lines = lines_of(without_colors(draw_heatmaps(output, {80, depth}, {})));
      std::erase_if(lines, [](const std::string& line) { return line.starts_with("colours: "); });
      EXPECT_EQ(lines, lines_of(plain));
    }
    EXPECT_EQ(plain.find('\x1b'), std::string::npos);
  }
}

TEST(Heatmap, EveryCellAppearsOnceHoweverNarrow) {
  for (int columns : {1, 24, 31, 80, 1000}) {
    const std::string drawn = draw_heatmaps(long_input(), {columns, ColorDepth::none}, {.tables = {.decimals = 4}});
    std::size_t numbers = 0;
    for (std::size_t at = 0; (at = drawn.find("0.", at)) != std::string::npos; ++at) ++numbers;
    EXPECT_EQ(numbers, 60u * 30 + 29 * 30 / 2) << columns;
  }
}

TEST(Heatmap, NothingToDraw) {
  EXPECT_EQ(draw_heatmaps({}, {}, {}), "no sequences\n");
  AttributionOutput output = decoder_only();
  output.info.clear();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.target_attributions = Tensor();
  sequence.step_scores.clear();
  sequence.target.resize(10);
  sequence.steps = {9, 10};
  EXPECT_EQ(draw_heatmaps(output, {}, {}),
            "sequence 0: <|im_start|>George was sick yesterday. asked him to come\n\nno scores\n\n");
  sequence.steps = {10, 10};
  EXPECT_EQ(draw_heatmaps(output, {}, {}),
            "sequence 0: <|im_start|>George was sick yesterday. asked him to come\n\nno explained tokens\n\n");
}

TEST(Heatmap, StepScoresAlone) {
  AttributionOutput output = decoder_only();
  output.sequences[0].target_attributions = Tensor();
  expect_golden("step_scores_80", output, {80, ColorDepth::none});
}

TEST(Heatmap, HostileTokensReachTheTerminalAsEscapes) {
  AttributionOutput output = decoder_only();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.target[1].text = "\x1b]0;owned\x07";
  sequence.target[2].text = "Ġ\u202eevil\u2066";
  sequence.target[3].text = "line\nline\r";
  sequence.target[4].text = "\u200b\u0301\u009b2J";
  sequence.target[5].text = "\xff\xc3";
  sequence.target[9].text = std::string(500, 'W');
  sequence.target[10].text = "👩‍👩‍👧";
  sequence.step_scores["\x1b[2Jname"] = at::zeros({5});
  output.info[0].second = Value(std::string("\x1b[31mmethod"));
  expect_golden("hostile_80", output, {80, ColorDepth::none});
  expect_golden("hostile_80_raw", output, {80, ColorDepth::none}, {.tables = {.tokens = drawing::TokenForm::raw}});
  const std::string drawn = draw_heatmaps(output, {80, ColorDepth::none}, {});
  for (const unsigned char c : drawn) EXPECT_TRUE(c >= 0x20 || c == '\n') << static_cast<int>(c);
  for (const char* mark : {"\u202e", "\u2066", "\u200b", "\u200d", "\u009b"})
    EXPECT_EQ(drawn.find(mark), std::string::npos) << drawing::printable(mark);
}

TEST(Heatmap, ContrastedStepsKeepBothTokens) {
  AttributionOutput output = decoder_only();
  output.sequences[0].target[9] = {"Ġgo → Ġcome", -1};
  EXPECT_NE(draw_heatmaps(output, {80, ColorDepth::none}, {}).find("·go → ·come"), std::string::npos);
  expect_golden("contrast_80", output, {80, ColorDepth::none});
}

TEST(Heatmap, AllZeroScoresAreNeutral) {
  AttributionOutput output = decoder_only();
  output.sequences[0].target_attributions = at::zeros({14, 5});
  expect_golden("zero_80_true", output, {80, ColorDepth::truecolor});
}

TEST(Heatmap, NumbersOfAnySizeStayReadable) {
  AttributionOutput output = decoder_only();
  const double infinity = std::numeric_limits<double>::infinity();
  output.sequences[0].target_attributions = at::zeros({14, 5}, at::kDouble);
  auto& scores = output.sequences[0].target_attributions;
  scores[0][0] = 1e30;
  scores[1][0] = -1e-9;
  scores[2][0] = infinity;
  scores[3][0] = -infinity;
  scores[4][0] = 1234567.891;
  expect_golden("numbers_80_true", output, {80, ColorDepth::truecolor});
  EXPECT_EQ(draw_heatmaps(output, {80, ColorDepth::none}, {}).find("-0.00"), std::string::npos);
}

TEST(Heatmap, OneScaleServesAllSequences) {
  AttributionOutput output = decoder_only();
  output.sequences.push_back(output.sequences[0]);
  output.sequences[1].target_attributions = output.sequences[0].target_attributions * -4.0;
  expect_golden("two_sequences_80_256", output, {80, ColorDepth::ansi256}, {.tables = {.decimals = 1}});
  EXPECT_NE(draw_heatmaps(output, {80, ColorDepth::ansi256}, {.max_value = 0.5}).find("colours: -0.50 "),
            std::string::npos);
}

TEST(Heatmap, GranularScoresAreRefused) {
  AttributionOutput output = decoder_only();
  output.sequences[0].target_attributions = at::zeros({14, 5, 2, 3});
  output.sequences[0].granularity = {"layer", "head"};
  try {
    draw_heatmaps(output, {}, {});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "terminal: sequence 0 has scores per layer, head, expected one per token and step; aggregate them "
                 "first, for example with vnorm or mean");
  }
}

TEST(Heatmap, OneMoreDimIsDrawnAsAMapForEachStep) {
  AttributionOutput output = decoder_only();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.steps = {12, 14};
  sequence.step_scores.clear();
  sequence.granularity = {"layer_state"};
  Tensor scores = at::zeros({14, 2, 3});
  for (std::int64_t n = 0; n < 3; ++n) scores.select(2, n).copy_(causal_scores(14, 12, 2, true) + 10.0 * n);
  sequence.target_attributions = scores;
  const std::string page = draw_heatmaps(output, {80, ColorDepth::none}, {});
  EXPECT_NE(page.find("step 12 \\n, columns: layer state\n\ntarget                 │     0     1     2\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("step 13 ·unconstitutionally, columns: layer state\n\n"), std::string::npos) << page;
  EXPECT_NE(page.find(" 1 George              │  0.64 10.64 20.64\n"), std::string::npos) << page;
  EXPECT_NE(page.find("rows: attributed tokens with their position"), std::string::npos) << page;
  EXPECT_EQ(page.find("columns: explained tokens"), std::string::npos) << page;
}

TEST(Heatmap, MapsAreNamedNotDrawn) {
  AttributionOutput output = encoder_decoder();
  output.sequences[0].sequence_scores["encoder_self_attentions"] = at::zeros({5, 5});
  EXPECT_NE(draw_heatmaps(output, {80, ColorDepth::none}, {})
                .find("not drawn: encoder_self_attentions (maps between tokens)"),
            std::string::npos);
}

TEST(Heatmap, NotesOfTheMethodStandBelowTheTables) {
  AttributionOutput output = decoder_only();
  output.info.emplace_back(
      "notes", Value(Value::List{Value(std::string("exact")), Value(std::string("2 steps\x1b[2J stopped"))}));
  const std::string page = draw_heatmaps(output, {80, ColorDepth::none}, {});
  EXPECT_NE(page.find("\n\nnote: exact\nnote: 2 steps\\x1b[2J stopped\n\ncolumns: "), std::string::npos) << page;
}

TEST(Heatmap, TextComesFromTheRunWhenItHasOnePerSequence) {
  AttributionOutput output = encoder_decoder();
  output.info = {{"generated_texts", Value(Value::List{Value(std::string("Bonjour\nle monde"))})}};
  EXPECT_NE(draw_heatmaps(output, {80, ColorDepth::none}, {}).find("sequence 0: Bonjour\\nle monde\n"),
            std::string::npos);
}

}  // namespace
}  // namespace whence::terminal
