// `whence attribute` and `whence view` on a tiny checkpoint.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

std::vector<std::string> attribute(std::vector<std::string> more) {
  std::vector<std::string> words{
      "attribute", "-m", kTinyModel, "-i", "The nurse told the", "-g", "The nurse told the doctor", "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A copy of the tiny checkpoint that a test may damage.
fs::path copy_of_model(const TemporaryFolder& folder) {
  const fs::path copy = folder.path() / "model";
  fs::copy(kTinyModel, copy);
  return copy;
}

TEST(Attribute, ShowsAHeatmapAndSavesAFile) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "out.json";
  const Outcome made = whence_tool(attribute({"--step_scores", "probability", "entropy", "-o", file.string()}));
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(made.err, "");
  EXPECT_NE(made.out.find("entropy"), std::string::npos);
  EXPECT_EQ(made.out.find('\x1b'), std::string::npos) << "escape codes in a pipe";
  const Outcome seen = whence_tool({"view", file.string()});
  EXPECT_EQ(seen.status, 0) << seen.err;
  EXPECT_NE(seen.out.find("entropy"), std::string::npos);
}

TEST(Attribute, PrintsJson) {
  const Outcome made = whence_tool(attribute({"--json", "-a", "attention", "--step_scores", "probability"}));
  ASSERT_EQ(made.status, 0) << made.err;
  const auto json = nlohmann::json::parse(made.out);
  EXPECT_EQ(json.at("attributes").at("info").at("attribution_method"), "attention");
  EXPECT_EQ(json.at("attributes").at("sequence_attributions").size(), 1u);
}

TEST(Attribute, HonoursColours) {
  const Outcome always = whence_tool(attribute({"--color", "always"}), {"NO_COLOR=1", "TERM=xterm-256color"});
  EXPECT_NE(always.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(whence_tool(attribute({}), {"NO_COLOR=1"}).out.find('\x1b'), std::string::npos);
  expect_error(whence_tool(attribute({"--color", "sometimes"})), 2,
               "unknown value of --color 'sometimes'; known: always, auto, never");
}

TEST(Attribute, HidesTheHeatmapAndIsQuiet) {
  const Outcome hidden = whence_tool(attribute({"--hide"}));
  EXPECT_EQ(hidden.status, 0);
  EXPECT_EQ(hidden.out + hidden.err, "");
}

TEST(Attribute, TakesUnderscoresDashesPrefixesAndStandardInput) {
  const Outcome made = whence_tool({"attribute", "--model-name", kTinyModel, "--input_texts", "-", "--generation-k",
                                    R"({"max_new_tokens": 2})", "--hide_attr", "--json", "--quiet", "-bs", "1"},
                                   {}, "The nurse\n\nIt was a\n");
  ASSERT_EQ(made.status, 0) << made.err;
  const auto info = nlohmann::json::parse(made.out).at("attributes").at("info");
  EXPECT_EQ(info.at("input_texts"), (std::vector<std::string>{"The nurse", "It was a"}));
  EXPECT_EQ(info.at("constrained_decoding"), false);
}

TEST(Attribute, CountsNegativePositionsFromTheEnd) {
  const Outcome made = whence_tool(attribute({"-s", "-2", "-e", "-1", "--json"}));
  ASSERT_EQ(made.status, 0) << made.err;
  const auto sequence =
      nlohmann::json::parse(made.out).at("attributes").at("sequence_attributions")[0].at("attributes");
  const int length = static_cast<int>(sequence.at("target").size());
  EXPECT_EQ(sequence.at("attr_pos_start"), length - 2);
  EXPECT_EQ(sequence.at("attr_pos_end"), length - 1);
}

TEST(Attribute, AppliesAggregatorsToWhatItSaves) {
  const Outcome made = whence_tool(attribute({"-a", "attention", "--attribution_aggregators", "mean", "mean",
                                              "--attribution_selectors", "0", "-1", "--json"}));
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(nlohmann::json::parse(made.out).at("attributes").at("sequence_attributions")[0].at("__instance_type__")[1],
            "CoarseFeatureAttributionSequenceOutput");
  expect_error(whence_tool(attribute({"-a", "attention", "--attribution_aggregators", "mean"})), 2,
               "--attribution-aggregators: the result still has the dimension 'layer'; name one more aggregator for "
               "each dimension that is left");
  expect_error(whence_tool(attribute({"--attribution_aggregators", "mean", "--attribution_selectors", "1", "2"})), 2,
               "--attribution-selectors: 2 number(s) for 1 of --attribution-aggregators; give one for each");
  const Outcome outside = whence_tool(attribute(
      {"-a", "attention", "--attribution_aggregators", "mean", "mean", "--attribution_selectors", "0", "99999"}));
  EXPECT_EQ(outside.status, 2);
  EXPECT_TRUE(outside.err.starts_with("whence: error: --attribution-aggregators, --attribution-selectors: "))
      << outside.err;
  EXPECT_NE(outside.err.find("99999"), std::string::npos) << outside.err;
  expect_error(whence_tool(attribute({"--rescale_attributions"})), 2,
               "--rescale-attributions: has no effect without --attribution-aggregators; name one");
}

TEST(Attribute, WarnsAboutAScoreWithoutEffect) {
  const Outcome made = whence_tool(
      {"attribute", "-m", kTinyModel, "-i", "It was", "-g", "It was a", "-a", "attention", "-fn", "logit", "--hide"});
  EXPECT_EQ(made.status, 0);
  EXPECT_NE(made.err.find("whence: warning: method 'attention' does not explain a score, so attributed function "
                          "'logit' has no effect\n"),
            std::string::npos)
      << made.err;
}

TEST(Attribute, ReadsARealModelFromItsGgufFile) {
  const Outcome made = whence_tool({"attribute", "-m", WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf", "-i",
                                    "George was sick yesterday. His colleagues asked him to come",
                                    "--generation_kwargs", R"({"max_new_tokens": 2})", "--json", "--quiet"});
  ASSERT_EQ(made.status, 0) << made.err;
  const auto info = nlohmann::json::parse(made.out).at("attributes").at("info");
  EXPECT_EQ(info.at("generated_texts")[0], "George was sick yesterday. His colleagues asked him to come to the");
}

TEST(Attribute, NamesTextsThatCannotBeAttributed) {
  const auto with = [](const std::string& input, const std::vector<std::string>& more) {
    std::vector<std::string> words{"attribute", "-m", kTinyModel, "--quiet", "-i", input};
    words.insert(words.end(), more.begin(), more.end());
    return whence_tool(words);
  };
  expect_error(with("", {}), 5, "input '0': the text is empty; a model needs at least one token to start from");
  expect_error(with("Hi there", {"-g", "Hello you"}), 5,
               "input '0': the generated text does not extend the prompt: prompt 'Hi there', generated 'Hello you'; "
               "write the prompt at its beginning, too");
  expect_error(with("the cat", {"-g", "the cat"}), 5,
               "input '0': the generated text adds no token to the prompt, so there is no step to explain; extend it");
  std::string longer = "a";
  for (int i = 0; i < 100; ++i) longer += " a";
  const Outcome too_long = with(longer, {});
  EXPECT_EQ(too_long.status, 5);
  EXPECT_NE(
      too_long.err.find("the context of model 'llama' holds 64 and one must be left to generate; shorten the text"),
      std::string::npos)
      << too_long.err;
  EXPECT_EQ(with("\xff", {}).status, 5);
  expect_error(with("h", {"-g", "hello"}), 5,
               "input '0': the tokens of the prompt are no prefix of those of the generated text: from token 1 on the "
               "prompt has '<s> ▁h', the generated text '<s> ▁he ll'; end the prompt where a token ends, for instance "
               "before a space");
  expect_error(whence_tool(attribute({"-s", "3", "-e", "2"})), 5,
               "input '0': positions [3, 2) hold no step; start must be below end (prompt: 8 tokens, text: 13)");
  expect_error(
      whence_tool(attribute({"-e", "99"})), 5,
      "input '0': positions [8, 99) end beyond the 13 tokens of the text; negative positions count from the end");
  expect_error(whence_tool(attribute({"-s", "0"})), 5,
               "input '0': positions [0, 13) start before 1; the first token has no prefix that could explain it");
}

TEST(Attribute, NamesCheckpointsThatCannotBeLoaded) {
  const TemporaryFolder folder;
  const auto with = [](const fs::path& model) {
    return whence_tool({"attribute", "-m", model.string(), "-i", "a", "--quiet"});
  };
  const Outcome missing = with(folder.path() / "none.gguf");
  EXPECT_EQ(missing.status, 4);
  EXPECT_TRUE(missing.err.starts_with("whence: error: " + (folder.path() / "none.gguf").string() +
                                      ": no such file or directory; expected"))
      << missing.err;

  const fs::path model = copy_of_model(folder);
  fs::resize_file(model / "model.safetensors", 1000);
  const Outcome truncated = with(model);
  EXPECT_EQ(truncated.status, 4);
  EXPECT_NE(truncated.err.find("model.safetensors: truncated"), std::string::npos) << truncated.err;

  fs::copy_file(fs::path(kTinyModel) / "model.safetensors", model / "model.safetensors",
                fs::copy_options::overwrite_existing);
  fs::rename(model / "tokenizer.json", folder.path() / "tokenizer.json");
  const Outcome without_tokenizer = with(model);
  EXPECT_EQ(without_tokenizer.status, 4);
  EXPECT_NE(without_tokenizer.err.find(
                "tokenizer.model is missing, which LlamaTokenizerFast needs when there is no tokenizer.json"),
            std::string::npos)
      << without_tokenizer.err;

  folder.write("model/config.json", R"({"model_type": "lama"})");
  const Outcome unknown = with(model);
  EXPECT_EQ(unknown.status, 4);
  EXPECT_NE(unknown.err.find("unknown architecture 'lama'; did you mean 'llama'? known: RefinedWeb, "),
            std::string::npos)
      << unknown.err;
}

TEST(Attribute, LeavesNoFileWhenItFails) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "out.json";
  EXPECT_EQ(whence_tool(attribute({"-e", "99", "-o", file.string()})).status, 5);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  expect_error(whence_tool(attribute({"-o", "/nowhere/out.json"})), 5,
               "/nowhere/out.json: cannot be written: the folder /nowhere does not exist; make it first");
}

TEST(View, NamesFilesThatAreNoResult) {
  const TemporaryFolder folder;
  EXPECT_EQ(whence_tool({"view", (folder.path() / "none.json").string()}).status, 5);
  EXPECT_EQ(whence_tool({"view", folder.write("x.json", "{}").string()}).status, 5);
  EXPECT_EQ(whence_tool({"view", folder.write("x.json", "{}").string(), "--width", "0"}).status, 2);
}

TEST(View, NamesTheFileWhoseScoresAreNotTokenLevel) {
  const std::string file = WHENCE_TEST_DATA "/results/reference_saliency.json";
  const std::string what = "attribution '" + file +
                           "', renderer 'terminal': terminal: sequence 0 has scores per hidden, expected one per token "
                           "and step; aggregate them first, for example with vnorm or mean";
  expect_error(whence_tool({"view", file, "--aggregators", "none"}), 2, what);
  expect_error(whence_tool({"view", file, "--aggregators", "none", "--renderer", "terminal"}), 2,
               "--renderer: " + what);
}

TEST(View, ShowsContextAttributions) {
  const TemporaryFolder folder;
  const std::string result = R"({"input_context": "sick", "input_context_tokens": ["sick"], "output_context": null,
    "output_context_tokens": null, "output_current": "bed", "output_current_tokens": ["bed"], "cti_scores": [1.5],
    "cci_scores": [{"cti_idx": 0, "cti_token": "bed", "cti_score": 1.5, "contextual_output": "bed",
      "contrast_token": null, "contextless_output": null, "input_context_scores": [0.25],
      "output_context_scores": null}]})";
  const std::string file = folder.write("context.json", result).string();
  const Outcome seen = whence_tool({"view", file});
  EXPECT_EQ(seen.status, 0) << seen.err;
  EXPECT_NE(seen.out.find("1 of 1 tokens depend on context"), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("[sick](0.25)"), std::string::npos) << seen.out;
  for (const std::string renderer : {"html", "svg", "json"}) {
    const std::string page = (folder.path() / renderer).string();
    EXPECT_EQ(whence_tool({"view", file, "--renderer", renderer, "-o", page}).status, 0) << renderer;
    EXPECT_TRUE(fs::exists(page));
  }
  expect_error(
      whence_tool({"view", file, "--aggregators", "mean"}), 2,
      "--aggregators: " + file + " is a context attribution, whose scores are aggregated already; leave it out");
}

}  // namespace
