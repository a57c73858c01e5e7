// `whence attribute-context` on a tiny checkpoint.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// An output that is given, behind an input with context.
std::vector<std::string> context(std::vector<std::string> more) {
  std::vector<std::string> words{"attribute-context",    "-m",        kTinyModel,
                                 "--input-current-text", "The nurse", "--input-context-text",
                                 "The doctor was late.", "--quiet",   "--output-current-text",
                                 "told the doctor to go"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// As `context`, but without an input context.
std::vector<std::string> contextless(std::vector<std::string> more) {
  std::vector<std::string> words{
      "attribute-context",    "-m", kTinyModel, "--input-current-text", "The nurse", "--quiet", "--output-current-text",
      "told the doctor to go"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json result_of(const std::vector<std::string>& words) {
  const Outcome made = whence_tool(words);
  EXPECT_EQ(made.status, 0) << made.err;
  return json::parse(made.out);
}

TEST(AttributeContext, FindsTokensAndTheirCues) {
  const json result = result_of(context({"--json", "-fn", "contrast_prob_diff"}));
  EXPECT_EQ(result.at("input_context"), "The doctor was late.");
  EXPECT_EQ(result.at("output_current"), "told the doctor to go");
  EXPECT_EQ(result.at("output_context"), nullptr);
  EXPECT_EQ(result.at("cti_scores").size(), result.at("output_current_tokens").size());
  ASSERT_FALSE(result.at("cci_scores").empty());
  const json& first = result.at("cci_scores").at(0);
  EXPECT_EQ(first.at("input_context_scores").size(), result.at("input_context_tokens").size());
  EXPECT_EQ(first.at("output_context_scores"), nullptr);
  EXPECT_TRUE(first.at("contrast_token").is_string());
  EXPECT_EQ(result.at("info").at("context_sensitivity_metric"), "kl_divergence");
  EXPECT_EQ(result.at("info").at("attributed_fn"), "contrast_prob_diff");
}

TEST(AttributeContext, ShowsSavesAndLeavesOut) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "out.json", page = folder.path() / "out.html", text = folder.path() / "out.txt";
  const Outcome shown = whence_tool(context({"-o", file.string(), "--viz_path", page.string()}));
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_EQ(shown.err, "");
  EXPECT_NE(shown.out.find("late"), std::string::npos);
  const Outcome seen = whence_tool({"view", file.string()});
  EXPECT_EQ(seen.status, 0) << seen.err;
  EXPECT_EQ(seen.out, shown.out);
  EXPECT_TRUE(whence_tool({"view", file.string(), "--renderer", "html"}).out.starts_with("<!doctype html>"));
  EXPECT_TRUE(fs::exists(page));

  const Outcome hidden =
      whence_tool(context({"--no_show_viz", "--no-add-output-info", "-o", file.string(), "--viz-path", text.string()}));
  EXPECT_EQ(hidden.status, 0);
  EXPECT_EQ(hidden.out + hidden.err, "");
  EXPECT_FALSE(whence_tool({"view", file.string(), "--json"}).out.empty());
  EXPECT_TRUE(fs::exists(text));
  expect_error(whence_tool(context({"--no-show-viz", "--show-viz"})), 2,
               "--no-show-viz: cannot be joined with --show-viz; keep one");
}

TEST(AttributeContext, ShowsIntermediateOutputs) {
  const Outcome shown = whence_tool(context({"--show-intermediate-outputs", "--no-show-viz"}));
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_NE(shown.out.find("== "), std::string::npos);
}

TEST(AttributeContext, CitesDocuments) {
  const TemporaryFolder folder;
  const auto first = folder.write("ward.txt", "The doctor was late.");
  const auto others = folder.write(
      "others.jsonl", "{\"name\": \"home\", \"text\": \"The woman was home.\"}\n\n{\"text\": \"A man.\"}\n");
  const json result = result_of(contextless({"--json", "--documents", first.string(), others.string()}));
  EXPECT_EQ(result.at("input_context"), "The doctor was late.\n\nThe woman was home.\n\nA man.");
  EXPECT_NE(result.dump().find("ward.txt"), std::string::npos);
  EXPECT_NE(result.dump().find("home"), std::string::npos);
  expect_error(whence_tool(context({"--documents", first.string()})), 2,
               "--documents: cannot be joined with --input-context-text, since documents make the input context; keep "
               "one");
  const auto broken = folder.write("broken.jsonl", "{\"texts\": \"\"}\n");
  expect_error(whence_tool(contextless({"--documents", broken.string()})), 2,
               broken.string() + ":1: unknown key 'texts'; did you mean 'text'? known: name, text");
}

TEST(AttributeContext, SaysThatNoTokenDependsOnContext) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "out.json";
  std::vector<std::string> words = contextless({"-o", file.string()});
  std::erase(words, "--quiet");
  const Outcome made = whence_tool(words);
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.err.find("input '0': no token of the output depends on context"), std::string::npos) << made.err;
  std::ifstream stream(file);
  const json result = json::parse(stream);
  EXPECT_EQ(result.at("cci_scores"), json::array());
  for (const json& score : result.at("cti_scores")) EXPECT_EQ(score, 0);
}

TEST(AttributeContext, RefusesTemplates) {
  expect_error(whence_tool(context({"--input-template", "{context} only"})), 2,
               "--input-template: the input template '{context} only' has no {current}; expected it where the current "
               "text goes");
  expect_error(
      whence_tool(context({"--input-template", "{context} {curent}"})), 2,
      "--input-template: unknown placeholder of the input template '{context} {curent}' 'curent'; did you mean "
      "'current'? known: context, current");
  expect_error(whence_tool(contextless({"--input-template", "{context} {current}"})), 2,
               "--input-template: the input template '{context} {current}' has {context}, but no input context "
               "(input_context_text) is given; give one that is not empty, or leave {context} out");
  expect_error(whence_tool(context({"--output-context-text", "x", "--output-template", "{current} {context}"})), 2,
               "--output-template: the output template '{current} {context}' has {context} behind {current}; what "
               "context an output has comes before it, so expected {context} first");
}

TEST(AttributeContext, RefusesOutputContexts) {
  const std::vector<std::string> wanted{"--output-template", "{context} {current}"};
  expect_error(whence_tool(context(wanted)), 2,
               "--output-template: the output template '{context} {current}' has {context}, but no output context "
               "(output_context_text) is given, and nobody can be asked for it here; give it, or choose the strategy "
               "'auto'");
  expect_error(
      whence_tool(context({wanted[0], wanted[1], "--handle_output_context_strategy", "pre"})), 2,
      "--output-template: the output template '{context} {current}' has {context}, but no output context "
      "(output_context_text) is given, and the strategy 'pre' takes none but a given one; give it, or leave {context} "
      "out");
  expect_error(
      whence_tool(context({"--handle-output-context-strategy", "auot"})), 2,
      "--handle-output-context-strategy: unknown strategy for the output context 'auot'; did you mean 'auto'? known: "
      "auto, manual, pre");
}

TEST(AttributeContext, RefusesNextTokens) {
  const std::string function = "contrast_prob_diff";
  expect_error(whence_tool(context({"--contextless-output-next-tokens", "a"})), 2,
               "--attributed-fn: contextless next tokens have no effect, since the attributed function 'probability' "
               "compares a token with no other; choose one that does, such as contrast_prob_diff, or leave them out");
  const Outcome both = whence_tool(context(
      {"-fn", function, "--contextless-output-next-tokens", "a", "--prompt-user-for-contextless-output-next-tokens"}));
  EXPECT_EQ(both.status, 2);
  EXPECT_NE(
      both.err.find("contextless next tokens are given (contextless_output_next_tokens), and are to be asked for"),
      std::string::npos)
      << both.err;
  const Outcome many = whence_tool(
      context({"-fn", function, "--context-sensitivity-topk", "1", "--contextless-output-next-tokens", "a", "b", "c"}));
  EXPECT_EQ(many.status, 5);
  EXPECT_NE(many.err.find("contextless_output_next_tokens has 3 word(s), but 1 token(s) depend on context"),
            std::string::npos)
      << many.err;
}

TEST(AttributeContext, RefusesWhatTheModelCannotServeBeforeItGenerates) {
  const Outcome made = whence_tool({"attribute-context", "-m", WHENCE_TEST_DATA "/models/architectures/mixtral", "-a",
                                    "deeplift", "--input-current-text", "w5 w7", "--input-context-text", "w9 w3"});
  EXPECT_EQ(made.status, 2) << made.err;
  EXPECT_NE(made.err.find("tokens of the model choose among experts"), std::string::npos) << made.err;
  EXPECT_EQ(made.err.find("output:"), std::string::npos) << "an output was generated before: " << made.err;
}

TEST(AttributeContext, RefusesOtherOptions) {
  expect_error(whence_tool({"attribute-context", "-m", kTinyModel, "--input-current-text", ""}), 2,
               "--input-current-text: no text is given; expected the prompt, or what is to be translated");
  expect_error(whence_tool(context({"--context-sensitivity-std-threshold", "much"})), 2,
               "--context-sensitivity-std-threshold: 'much' is no number; expected a count of standard deviations");
  expect_error(whence_tool(context({"--attribution-topk", "0"})), 2,
               "--attribution-topk: 0 keeps nothing; expected at least 1, or leave it out to keep all");
  const Outcome metric = whence_tool(context({"--context-sensitivity-metric", "kl_divergense"}));
  EXPECT_EQ(metric.status, 2);
  EXPECT_TRUE(
      metric.err.starts_with("whence: error: --context-sensitivity-metric: unknown step_function "
                             "'kl_divergense'; did you mean 'kl_divergence'?"))
      << metric.err;
  expect_error(
      whence_tool(context({"--viz-path", "out.docx"})), 2,
      "--viz-path: the name 'out.docx' ends in '.docx', which says nothing of the form; expected .html, .svg or "
      ".txt");
  std::string text = "The";
  for (int i = 0; i < 3000; ++i) text += " doctor";
  const Outcome tooLong = whence_tool(context({"--input-context-text", text}));
  EXPECT_EQ(tooLong.status, 5);
  EXPECT_NE(tooLong.err.find("tokens"), std::string::npos) << tooLong.err;
}

TEST(Attribute, DrawsIntoAFile) {
  const TemporaryFolder folder;
  const fs::path page = folder.path() / "out.svg";
  const Outcome made = whence_tool({"attribute", "-m", kTinyModel, "-i", "The nurse told the", "-g",
                                    "The nurse told the doctor", "--quiet", "--hide", "--viz-path", page.string()});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_GT(fs::file_size(page), 1000u);
}

}  // namespace
