// The page as bytes; what its scripts do with them is tested in a browser (tests/integration/html).
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "outputs.h"
#include "support/plugins.h"
#include "support/text_of_error.h"
#include "whence/draws_granularity.h"
#include "whence/error.h"

namespace whence {
namespace {

using namespace whence::testing;

std::string page_of(const AttributionOutput& output, const Value::Map& params = {}) {
  return built_plugins().make_renderer(choice("html", params))->render(output, {});
}

/// The text of the element that holds the data.
std::string data_text(const std::string& page) {
  const std::string opening = "<script type=\"application/json\" id=\"data\">";
  const std::size_t start = page.find(opening) + opening.size();
  return page.substr(start, page.find("</script>", start) - start);
}

nlohmann::json data_of(const AttributionOutput& output, const Value::Map& params = {}) {
  return nlohmann::json::parse(data_text(page_of(output, params)));
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++found;
  return found;
}

TEST(Html, HoldsTokensScoresAndSteps) {
  AttributionOutput output = encoder_decoder();
  output.sequences[0].source_labels = {{"turn", {1, 3}}, {"", {0, 1}}};
  output.sequences[0].target_attributions = at::ones({1, 5});
  const nlohmann::json data = data_of(output);
  const nlohmann::json& sequence = data.at("sequences").at(0);
  EXPECT_EQ(sequence.at("source").at("tokens"), nlohmann::json({" Hello", " 日本", ",", " world", "</s>"}));
  EXPECT_EQ(sequence.at("source").at("labels"), nlohmann::json::parse(R"([{"name": "turn", "start": 1, "end": 3}])"));
  EXPECT_EQ(sequence.at("start"), 1);
  EXPECT_EQ(sequence.at("end"), 6);
  EXPECT_EQ(sequence.at("dims"), nlohmann::json::array());
  ASSERT_EQ(sequence.at("parts").size(), 2u);
  EXPECT_EQ(sequence.at("parts")[0].at("rows"), 5);
  EXPECT_EQ(sequence.at("parts")[0].at("scores").get<std::string>().size(), 136u);  // 25 floats
  EXPECT_EQ(sequence.at("parts")[1].at("scores"), "AACAPwAAgD8AAIA/AACAPwAAgD8=");  // five times 1
  EXPECT_EQ(sequence.at("stepScores")[0].at("name"), "probability");
  EXPECT_EQ(sequence.at("stepScores")[0].at("whole"), false);
  EXPECT_EQ(data.at("scale"), 1.0);
}

TEST(Html, HoldsMapsThatFit) {
  AttributionOutput output = encoder_decoder();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.sequence_scores = {{"decoder_self_attentions", at::ones({6, 6, 2})},
                              {"encoder_self_attentions", at::ones({5, 5})},
                              {"cross", at::ones({5, 5})},
                              {"encoder_of_more_tokens", at::ones({7, 7})}};
  const nlohmann::json data = data_of(output).at("sequences").at(0), maps = data.at("maps");
  EXPECT_EQ(data.at("remark"), "not drawn: encoder_of_more_tokens (maps between tokens)");
  ASSERT_EQ(maps.size(), 3u);
  EXPECT_EQ(maps[0].at("name"), "cross");  // its columns are the steps
  EXPECT_EQ(maps[0].at("start"), 1);
  EXPECT_EQ(maps[0].at("parts")[0].at("name"), "source");
  EXPECT_EQ(maps[1].at("columns"), "target");
  EXPECT_EQ(maps[1].at("dims"), nlohmann::json::parse(R"([{"name": "dim 2", "size": 2}])"));
  EXPECT_EQ(maps[1].at("parts")[0].at("name"), "target");
  EXPECT_EQ(maps[2].at("columns"), "source");
  sequence.sequence_scores = {{"decoder_self_attentions", at::ones({6, 6, 50'000})}};
  const nlohmann::json large = data_of(output, {{"max_megabytes", number(1)}}).at("sequences").at(0);
  EXPECT_EQ(large.at("remark"), "not drawn: decoder_self_attentions (maps between tokens)");
}

TEST(Html, TellsWhereTokensBreakLines) {
  AttributionOutput output;
  output.sequences.emplace_back();
  output.sequences[0].target = tokens({"Hello", "Ċ", "Ġyou", ".ĊĊ"});
  output.sequences[0].steps = {1, 4};
  const nlohmann::json target = data_of(output).at("sequences").at(0).at("target");
  EXPECT_EQ(target.at("breaks"), nlohmann::json({1, 3}));
  EXPECT_EQ(target.at("tokens"), nlohmann::json({"Hello", "\\n", " you", ".\\n\\n"}));
}

TEST(Html, HostileTextsStayText) {
  const std::string page = page_of(hostile());
  for (const char letter : data_text(page)) {
    EXPECT_GE(letter, ' ');
    EXPECT_LE(letter, '~');
    EXPECT_NE(letter, '<');
  }
  // One element with data and the page's own scripts.
  EXPECT_EQ(count(page, "<script"), count(page, "</script"));
  EXPECT_EQ(count(page, "<script"), 9u);
  EXPECT_EQ(page.find("<b>\"bold"), std::string::npos);
  EXPECT_EQ(page.find("<i>note"), std::string::npos);
  EXPECT_NE(page.find("<li>&lt;i&gt;note&lt;/i&gt;</li>"), std::string::npos);
  const nlohmann::json sequence = data_of(hostile()).at("sequences").at(0);
  EXPECT_EQ(sequence.at("target").at("tokens")[0], "</script><script>alert(1)</script>");
  EXPECT_EQ(sequence.at("target").at("tokens")[1], "\"'><!--\\x1b[31m\\u202e\\u2028 ]]>&amp;\\xff");
  EXPECT_EQ(sequence.at("stepScores")[0].at("name"), "<img src=x>");
}

TEST(Html, NeedsNothingButItself) {
  const std::string page = page_of(encoder_decoder());
  EXPECT_EQ(page.find("{{"), std::string::npos);
  for (const char* reference : {" src=", " href=", "@import", "url(", "https:", "fetch("})
    EXPECT_EQ(page.find(reference), std::string::npos) << reference;
}

TEST(Html, KeepsLayersAndHeads) {
  AttributionOutput output = encoder_decoder();
  SequenceAttribution& sequence = output.sequences[0];
  sequence.source_attributions = at::zeros({5, 5, 2, 3});
  sequence.target_attributions = at::zeros({6, 5, 2, 3});
  sequence.granularity = {"layer_state", "head"};
  EXPECT_EQ(data_of(output).at("sequences").at(0).at("dims"),
            nlohmann::json::parse(R"([{"name": "layer state", "size": 2}, {"name": "head", "size": 3}])"));
  EXPECT_NE(built_plugins().make_renderer(choice("html"))->query(kDrawsGranularity), nullptr);
  EXPECT_EQ(built_plugins().make_renderer(choice("terminal"))->query(kDrawsGranularity), nullptr);
}

TEST(Html, RefusesWhatItCannotShow) {
  AttributionOutput output = encoder_decoder();
  output.sequences[0].target_attributions = at::zeros({6, 5, 2});
  EXPECT_EQ(text_of_error<ConfigError>([&] { page_of(output); }),
            "html: sequence 0 has target scores of 3 dims, expected 2 by its granularity; aggregate them first, for "
            "example with mean");
  output.sequences[0].target_attributions = at::zeros({6, 50000});
  EXPECT_EQ(text_of_error<ConfigError>([&] { page_of(output, {{"max_megabytes", number(1)}}); }),
            "html: sequence 0: the scores take 2 MB or more, expected at most 1 (max_megabytes); aggregate them, for "
            "example with mean, or raise it");
  EXPECT_EQ(text_of_error<ConfigError>([&] { page_of(output, {{"max_value", Value(0.0)}}); }),
            "html: max_value is 0, expected the magnitude at the ends of the colour scale");
}

TEST(Html, SaysWhyThereIsNothing) {
  AttributionOutput output;
  EXPECT_EQ(data_of(output).at("sequences"), nlohmann::json::array());
  output.sequences.emplace_back();
  EXPECT_EQ(data_of(output).at("sequences").at(0).at("remark"), "no explained tokens");
}

}  // namespace
}  // namespace whence
