// Context attributions in every renderer; what the page's scripts do is tested in a browser (tests/integration/html).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "context_results.h"
#include "host/context_rendering.h"
#include "outputs.h"
#include "picture.h"
#include "support/plugins.h"
#include "support/text_of_error.h"
#include "text.h"
#include "whence/context_json.h"
#include "whence/error.h"

namespace whence {
namespace {

using namespace whence::testing;

std::string rendered(const std::string& renderer, const ContextAttribution& result, const Value::Map& params = {},
                     const Canvas& canvas = {}) {
  return host::render_context(built_plugins(), {choice(renderer, params), ""}, result, canvas);
}

const std::string kPage = R"(saliency of contrast_prob_diff, tiny
1 of 4 tokens depend on context: |pcxmi| ≥ 0.17 (mean + 0.5 std, top 1)
cues, marked as [token](score): |score| ≥ mean of a token's scores

input context
    I was sick.
    It rained.

input
    Where did I go?

output context
    Go home.

output
    To the hospital.

#1 ·hospital → ·office (2) -2.50
  output
    To the [hospital](-2.50).
  without context: ·office
    Where did I go? To the office
  input context: cues ≥ 0.15
    I [was](0.25) [sick](1.00).\n
    [It](-0.50) rained.
     1.25  1. I was sick.
    -0.50  2. It rained.
  output context: cues ≥ 0.15
    Go [home](0.75).

)";

TEST(ContextInTerminal, MarksTokensAndTheirCues) { EXPECT_EQ(rendered("terminal", context_result()), kPage); }

TEST(ContextInTerminal, SaysTheSameInColours) {
  std::string page = rendered("terminal", context_result(), {}, {80, ColorDepth::truecolor});
  EXPECT_NE(page.find("\x1b[38;2;255;255;255;48;2;180;4;38m[sick](1.00)\x1b[0m"), std::string::npos);
  EXPECT_NE(rendered("terminal", context_result(), {}, {80, ColorDepth::ansi256}).find(";48;5;"), std::string::npos);
  for (std::size_t at = 0; (at = page.find('\x1b')) != std::string::npos;) page.erase(at, page.find('m', at) + 1 - at);
  EXPECT_EQ(page, kPage);
}

TEST(ContextInTerminal, FollowsItsParameters) {
  const Value::Map params = {{"decimals", number(1)},
                             {"max_rows", number(1)},
                             {"shades", Value(true)},
                             {"tokens", text("raw")},
                             {"max_value", number(4)}};
  const std::string page = rendered("terminal", context_result(), params);
  EXPECT_NE(page.find("I[Ġwas](0.2) [Ġsick](1.0)░.Ċ"), std::string::npos) << page;
  EXPECT_NE(page.find("1 of 2 units"), std::string::npos) << page;
}

TEST(ContextInTerminal, WrapsWithinTheCanvas) {
  const std::string page = rendered("terminal", context_result(), {}, {.columns = 30});
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 40u) << line;  // some bytes are no cells
  EXPECT_NE(page.find("I [was](0.25)\n    [sick](1.00)"), std::string::npos) << page;
}

TEST(Context, SaysThatNothingIsSelected) {
  ContextAttribution result = context_result();
  result.selected.clear();
  for (const std::string renderer : {"terminal", "html", "svg"})
    EXPECT_NE(rendered(renderer, result).find("no token depends on context"), std::string::npos) << renderer;
}

TEST(Context, DrawsWithoutContextsInfoOrContrasts) {
  ContextAttribution result = context_result();
  result.info.clear();
  result.input_context.reset();
  result.selected[0].input_cues.reset();
  result.selected[0].contrast_token.reset();
  result.selected[0].contextless_output.reset();
  EXPECT_EQ(rendered("terminal", result).find("input context"), std::string::npos);
  EXPECT_NE(rendered("html", result).find("Context attribution"), std::string::npos);
  EXPECT_TRUE(read_picture(rendered("svg", result)).has("output context:"));
}

TEST(Context, HostileTextsStayText) {
  const std::string escaped = "\\x1b[31m\\u202e";
  for (const std::string renderer : {"terminal", "html", "svg"}) {
    const std::string page = rendered(renderer, hostile_context());
    EXPECT_EQ(page.find('\x1b'), std::string::npos) << renderer;
    EXPECT_EQ(page.find("\u202e"), std::string::npos) << renderer;
    if (renderer == "terminal") continue;
    EXPECT_EQ(page.find("<script>alert"), std::string::npos) << renderer;
    EXPECT_NE(page.find(escaped), std::string::npos) << renderer;
  }
}

TEST(ContextInHtml, HoldsTokensScoresAndCues) {
  const std::string page = rendered("html", context_result());
  const std::string opening = "<script type=\"application/json\" id=\"data\">";
  const std::size_t start = page.find(opening) + opening.size();
  const nlohmann::json data = nlohmann::json::parse(page.substr(start, page.find("</script>", start) - start));
  EXPECT_EQ(data.at("sensitivity"), "pcxmi");
  EXPECT_EQ(data.at("scale"), nullptr);
  EXPECT_EQ(data.at("output").at("tokens"), nlohmann::json({"To", " the", " hospital", "."}));
  EXPECT_EQ(data.at("output").at("contrasts"), nlohmann::json({{"2", " office"}}));
  ASSERT_EQ(data.at("contexts").size(), 2u);
  EXPECT_EQ(data.at("contexts")[0].at("breaks"), nlohmann::json({3}));
  EXPECT_EQ(data.at("contexts")[0].at("units")[1], nlohmann::json({{"name", "It rained."}, {"start", 4}, {"end", 7}}));
  const nlohmann::json& token = data.at("selected").at(0);
  EXPECT_EQ(token.at("index"), 2);
  EXPECT_EQ(token.at("contrast"), " office");
  EXPECT_EQ(token.at("cues")[0].at("strong"), nlohmann::json({2, 4, 1}));
  EXPECT_EQ(token.at("cues")[0].at("units"), nlohmann::json({1.25, -0.5}));
  EXPECT_EQ(token.at("cues")[1].at("scores"), "AAAAAAAAQD8AAAAA");  // 0, 0.75, 0
}

TEST(ContextInHtml, RefusesTooManyScores) {
  ContextAttribution result = context_result();
  result.input_context->tokens.assign(400'000, "a");
  result.input_context->units.clear();
  result.selected[0].input_cues = CueScores{std::vector<float>(400'000, 0.5F), {}};
  EXPECT_EQ(text_of_error<ConfigError>([&] { rendered("html", result, {{"max_megabytes", number(1)}}); }),
            "renderer 'html': html: the scores take 3 MB or more, expected at most 1 (max_megabytes); select fewer "
            "tokens, or raise it");
}

TEST(ContextInSvg, WrapsAndColours) {
  const Picture picture = read_picture(rendered("svg", context_result(), {{"columns", number(20)}}));
  EXPECT_TRUE(picture.has("sick(1.00)"));
  EXPECT_TRUE(picture.has("1.25  1. I was sick."));
  bool coloured = false;
  for (const Box& box : picture.boxes) coloured |= box.fill == "#b40426";  // the end of the scale
  EXPECT_TRUE(coloured);
  for (const Line& line : picture.lines)
    EXPECT_LE(line.x + drawing::display_width(line.text) * picture.letter, picture.width) << line.text;
  const Picture plain = read_picture(rendered("svg", context_result(), {{"numbers", Value(false)}}));
  EXPECT_TRUE(plain.has("sick"));
}

TEST(ContextAsJson, IsTheResult) {
  EXPECT_EQ(rendered("json", context_result()), to_context_json(context_result()));
  EXPECT_EQ(text_of_error<ConfigError>([] { rendered("json", context_result(), {{"precision", text("float8")}}); }),
            "renderer 'json': json: precision is another than float32, but numbers of context attributions are stored "
            "in full; leave it out");
}

}  // namespace
}  // namespace whence
