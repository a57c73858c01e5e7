// `whence run` and `whence reproduce` of an experiment on context.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

const std::string kExperiment = "name: tiny\nmodel: " + kTinyModel +
                                "\ncontext:\n"
                                "  inputs:\n"
                                "    - {id: nurse, documents: [{name: one, text: The nurse was sick.}, It was late.], "
                                "current: She asked the doctor,"
                                " output_current: to come.}\n"
                                "    - {current: She asked the doctor, context: It was late.}\n"
                                "  sensitivity: {std: 0, top_k: 2}\n"
                                "  attribution: {method: saliency, attributed_function: contrast_prob_diff}\n"
                                "generation: {max_new_tokens: 3}\noutput_dir: out\n";

class ContextRun : public testing::Test {
 protected:
  Outcome run(const std::string& more, const std::vector<std::string>& words = {}) {
    std::vector<std::string> all{"run", folder_.write("e.yaml", kExperiment + more).string()};
    all.insert(all.end(), words.begin(), words.end());
    return whence_tool(all);
  }
  /// Makes the run.
  fs::path directory() {
    const Outcome made = run("outputs: [{renderer: json, file: '{name}.json'}]\n", {"--json"});
    EXPECT_EQ(made.status, 0) << made.err;
    return nlohmann::json::parse(made.out).at("directory").get<std::string>();
  }

  TemporaryFolder folder_;
};

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(std::ifstream(file)); }

TEST_F(ContextRun, StoresResultsManifestAndDescription) {
  const fs::path run = directory();
  for (const char* file : {"experiment.yaml", "manifest.json", "ro-crate-metadata.json", "results/nurse.json",
                           "results/1.json", "nurse.json", "1.json"})
    EXPECT_TRUE(fs::is_regular_file(run / file)) << file;
  const auto result = json_of(run / "results/nurse.json");
  EXPECT_EQ(result.at("input_context"), "The nurse was sick.\n\nIt was late.");
  EXPECT_EQ(result.at("output_current"), "to come.");
  ASSERT_EQ(result.at("cci_scores").size(), 2u);
  EXPECT_TRUE(result.at("cci_scores")[0].at("contrast_token").is_string());
  const auto manifest = json_of(run / "manifest.json");
  EXPECT_EQ(manifest.at("contexts")[0].at("id"), "nurse");
  EXPECT_EQ(manifest.at("contexts")[0].at("context_sensitive_tokens"), 2);
  EXPECT_EQ(manifest.at("inputs").at("texts").size(), 2u);
  EXPECT_EQ(manifest.at("inputs").at("texts")[1].at("constrained"), false);
  std::vector<std::string> plugins;
  for (const auto& plugin : manifest.at("plugins"))
    plugins.push_back(plugin.at("kind").get<std::string>() + " " + plugin.at("name").get<std::string>());
  EXPECT_EQ(plugins,
            (std::vector<std::string>{"model decoder_only", "method saliency", "step_function contrast_prob_diff",
                                      "step_function kl_divergence", "aggregator scores", "renderer json"}));
  EXPECT_NE(json_of(run / "ro-crate-metadata.json").dump().find("results/nurse.json"), std::string::npos);
  EXPECT_EQ(whence_tool({"validate", (run / "experiment.yaml").string()}).status, 0);
}

TEST_F(ContextRun, ShowsEveryTextAndDoesNoWorkTwice) {
  const Outcome first = run("");
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_NE(first.out.find("== nurse ==\n"), std::string::npos);
  EXPECT_NE(first.out.find("== 1 ==\n"), std::string::npos);
  const Outcome second = run("");
  EXPECT_EQ(second.out, first.out);
  EXPECT_NE(second.err.find("nothing to do"), std::string::npos) << second.err;
}

TEST_F(ContextRun, IsReproducedNumberByNumber) {
  const fs::path run = directory();
  const Outcome again = whence_tool({"reproduce", run.string(), "--json"});
  ASSERT_EQ(again.status, 0) << again.out << again.err;
  const auto report = nlohmann::json::parse(again.out);
  EXPECT_EQ(report.at("agrees"), true);
  std::vector<std::string> tensors;
  for (const auto& tensor : report.at("tensors"))
    if (tensor.at("attribution") == "nurse") tensors.push_back(tensor.at("tensor").get<std::string>());
  EXPECT_EQ(tensors,
            (std::vector<std::string>{"tokens", "sensitivities", "tokens", "input_context_scores", "input_unit_scores",
                                      "tokens", "input_context_scores", "input_unit_scores"}));
}

TEST_F(ContextRun, ReproductionFindsOtherNumbersTokensAndTexts) {
  const fs::path run = directory();
  const fs::path file = run / "results/nurse.json";
  const auto changed = [&](const std::function<void(nlohmann::json&)>& change) {
    const std::string stored = json_of(file).dump();
    nlohmann::json result = json_of(file);
    change(result);
    std::ofstream(file) << result.dump();
    const Outcome again = whence_tool({"reproduce", run.string()});
    EXPECT_EQ(again.status, 6) << again.err;
    std::ofstream(file) << stored;
    return again.out;
  };
  const auto scores = changed([](nlohmann::json& result) {
    auto& score = result["cci_scores"][0]["input_context_scores"][1];
    score = score.get<double>() * 1.1;
  });
  EXPECT_NE(scores.find("input_context_scores: largest deviation"), std::string::npos) << scores;
  EXPECT_NE(scores.find(" - DISAGREES"), std::string::npos) << scores;
  const auto text = changed([](nlohmann::json& result) { result["output_current"] = "to go."; });
  EXPECT_NE(text.find("nurse, sequence output, tokens: other texts or tokens - DISAGREES"), std::string::npos) << text;
  const auto selected = changed([](nlohmann::json& result) { result["cci_scores"].erase(1); });
  EXPECT_NE(selected.find("tokens: made as context-sensitive, but not stored - DISAGREES"), std::string::npos)
      << selected;
}

TEST_F(ContextRun, RefusesWhatCannotBeDoneBeforeWork) {
  EXPECT_NE(run("", {"--plan"}).err.find("a run with 'context' cannot be planned"), std::string::npos);
  const Outcome evaluated = whence_tool({"evaluate", folder_.write("e.yaml", kExperiment).string()});
  EXPECT_EQ(evaluated.status, 2);
  EXPECT_NE(evaluated.err.find("has 'context', whose cues are of selected tokens alone"), std::string::npos)
      << evaluated.err;
  const fs::path made = directory();
  const Outcome compared = whence_tool({"compare", made.string()});
  EXPECT_NE(compared.err.find("holds context attributions; expected a run with 'attributions'"), std::string::npos)
      << compared.err;
}

}  // namespace
