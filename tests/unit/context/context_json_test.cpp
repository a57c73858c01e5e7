#include "whence/context_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using testing::text_of_error;

ContextAttribution example() {
  ContextAttribution result;
  result.input_context = ContextText{.text = "Il était là.", .tokens = {"Il", "Ġétait", "Ġlà", "."}, .units = {}};
  result.input_context->units = {{"first", {0, 2}}, {"\"second\"", {2, 4}}};
  result.output_context = ContextText{.text = "", .tokens = {}, .units = {}};
  result.input_current = "What?\n";
  result.output_current = "he went";
  result.output_tokens = {"Ġshe → Ġhe", "Ġwent"};
  result.sensitivities = {0.1F, std::numeric_limits<float>::denorm_min()};
  ContextSensitiveToken token{.index = 0, .token = "Ġshe → Ġhe", .sensitivity = 0.1F, .contextual_output = "he"};
  token.contrast_token = "Ġshe";
  token.contextless_output = "What? she";
  token.input_cues = CueScores{.tokens = {0.3F, -1e-7F, 1 / 3.0F, 0}, .units = {0.3F, 1 / 3.0F}};
  token.output_cues = CueScores{};
  result.selected = {token};
  result.info = {{"seed", Value(std::int64_t{7})}, {"attribution_topk", Value()}};
  return result;
}

void expect_equal(const std::optional<CueScores>& one, const std::optional<CueScores>& other) {
  ASSERT_EQ(one.has_value(), other.has_value());
  if (!one) return;
  EXPECT_EQ(one->tokens, other->tokens);
  EXPECT_EQ(one->units, other->units);
}

TEST(ContextJson, EverythingComesBackExactly) {
  const ContextAttribution written = example();
  const ContextAttribution read = from_context_json(to_context_json(written), "r.json");
  for (const auto& [one, other] :
       {std::pair(read.input_context, written.input_context), std::pair(read.output_context, written.output_context)}) {
    ASSERT_TRUE(one);
    EXPECT_EQ(one->text, other->text);
    EXPECT_EQ(one->tokens, other->tokens);
    ASSERT_EQ(one->units.size(), other->units.size());
    for (std::size_t i = 0; i < one->units.size(); ++i) {
      EXPECT_EQ(one->units[i].name, other->units[i].name);
      EXPECT_EQ(one->units[i].tokens, other->units[i].tokens);
    }
  }
  EXPECT_EQ(read.input_current, written.input_current);
  EXPECT_EQ(read.output_current, written.output_current);
  EXPECT_EQ(read.output_tokens, written.output_tokens);
  EXPECT_EQ(read.sensitivities, written.sensitivities);
  ASSERT_EQ(read.selected.size(), 1U);
  const ContextSensitiveToken &one = read.selected[0], &other = written.selected[0];
  EXPECT_EQ(one.index, other.index);
  EXPECT_EQ(one.token, other.token);
  EXPECT_EQ(one.sensitivity, other.sensitivity);
  EXPECT_EQ(one.contextual_output, other.contextual_output);
  EXPECT_EQ(one.contrast_token, other.contrast_token);
  EXPECT_EQ(one.contextless_output, other.contextless_output);
  expect_equal(one.input_cues, other.input_cues);
  expect_equal(one.output_cues, other.output_cues);
  EXPECT_EQ(read.info, (Value::Map{{"attribution_topk", Value()}, {"seed", Value(std::int64_t{7})}}));
  EXPECT_TRUE(from_context_json(to_context_json(written, /*with_info=*/false), "r.json").info.empty());
}

TEST(ContextJson, IsToldFromOtherResults) {
  EXPECT_TRUE(is_context_json(to_context_json(example())));
  EXPECT_TRUE(is_context_json(R"({"a": [{"b": NaN}], "cti_scores": [NaN]})") ||
              is_context_json(R"({"a": [{"b": 1}], "cti_scores": [NaN]})"));
  for (const char* other : {R"({"attributes": {"cti_scores": []}})", R"(["cti_scores"])", R"("cti_scores")", "1", "",
                            "{", R"({"info": {}})"})
    EXPECT_FALSE(is_context_json(other)) << other;
}

/// What the reference writes for two output tokens and the given cue scores.
std::string foreign(const std::string& input_scores, const std::string& output_scores) {
  return R"({"input_context": "a b", "input_context_tokens": ["a", "b"], "output_context": "c",
             "output_context_tokens": ["c"], "output_current": "d e", "output_current_tokens": ["d", "e"],
             "cti_scores": [0.5, NaN], "cci_scores": [{"cti_idx": 1, "cti_token": "e", "cti_score": 0.5,
             "contextual_output": "c d e", "contrast_token": null, "contextless_output": null,
             "input_context_scores": )" +
         input_scores + R"(, "output_context_scores": )" + output_scores +
         R"(}], "info": {"input_current_text": "x"}})";
}

TEST(ContextJson, FilesOfTheReferenceAreRead) {
  const ContextAttribution read = from_context_json(foreign("[1, 2]", "[3]"), "r.json");
  EXPECT_EQ(read.input_current, "x");
  EXPECT_TRUE(std::isnan(read.sensitivities.at(1)));
  EXPECT_FALSE(read.selected.at(0).contrast_token);
  EXPECT_EQ(read.selected[0].output_cues->tokens, std::vector<float>{3});
}

TEST(ContextJson, WhatTheReferenceAppendsWhileItDrawsIsDropped) {
  const ContextAttribution read = from_context_json(foreign("[1, 2, 3]", "[3, 1, 2, 3]"), "r.json");
  EXPECT_EQ(read.selected.at(0).input_cues->tokens, (std::vector<float>{1, 2}));
  EXPECT_EQ(read.selected[0].output_cues->tokens, std::vector<float>{3});
  const auto refused = [](const std::string& input, const std::string& output) {
    return text_of_error<InputError>([&] { from_context_json(foreign(input, output), "r.json"); });
  };
  EXPECT_EQ(refused("[1, 2, 4]", "[3]"), "r.json: cci_scores[0].input_context_scores: 3 scores, expected 2");
  EXPECT_EQ(refused("[1, 2]", "[3, 2, 1]"), "r.json: cci_scores[0].output_context_scores: 3 scores, expected 1");
  EXPECT_EQ(refused("[1]", "[3]"), "r.json: cci_scores[0].input_context_scores: 1 scores, expected 2");
}

TEST(ContextJson, MalformedFilesAreRefusedAtTheirPlace) {
  std::string text = to_context_json(example());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const std::size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) changed.replace(at, from.size(), to);
    return text_of_error<InputError>([&] { from_context_json(changed, "r.json"); });
  };
  EXPECT_EQ(with("\"cti_idx\": 0", "\"cti_idx\": 2"), "r.json: cci_scores[0].cti_idx: token 2 of an output of 2");
  EXPECT_EQ(with("\"cti_idx\": 0", "\"cti_idx\": \"0\""),
            "r.json: cci_scores[0].cti_idx: expected an integer, found string");
  EXPECT_EQ(with("\"cti_scores\"", "\"scores\""), "r.json: 'cti_scores' is missing");
  EXPECT_EQ(with("\"end\": 4", "\"end\": 5"),
            "r.json: whence.input_context_units[1]: unit from 2 to 5 of 4 tokens; units are ascending and disjoint");
  EXPECT_EQ(with("\"start\": 2", "\"start\": 1"),
            "r.json: whence.input_context_units[1]: unit from 1 to 4 of 4 tokens; units are ascending and disjoint");
  EXPECT_EQ(with("\"input_context\": \"Il", "\"other\": \"Il"),
            "r.json: cci_scores[0].input_context_scores: scores of a context that the result does not have");
  const std::string cut =
      text_of_error<InputError>([&] { from_context_json(text.substr(0, text.size() / 2), "r.json"); });
  EXPECT_NE(cut.find("the text ends early; the file is cut off or no result file"), std::string::npos) << cut;
}

}  // namespace
}  // namespace whence
