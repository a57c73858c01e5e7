// `whence run`: the run directory, and that nothing is done twice.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

const std::string kExperiment =
    "name: tiny\nmodel: " + kTinyModel +
    "\ninputs: [The nurse told the, {text: It was a, generated: It was a red book}]\n"
    "generation: {max_new_tokens: 3}\n"
    "attributions:\n  - saliency\n  - {name: att, method: attention, step_scores: probability}\n"
    "outputs: [terminal, {renderer: json, file: '{name}.json'}]\noutput_dir: out\n";

fs::path only_run(const TemporaryFolder& folder) {
  std::vector<fs::path> runs;
  for (const auto& entry : fs::directory_iterator(folder.path() / "out")) runs.push_back(entry.path());
  EXPECT_EQ(runs.size(), 1u);
  return runs.at(0);
}

TEST(Run, StoresAWholeRunDirectory) {
  const TemporaryFolder folder;
  const Outcome made = whence_tool({"run", folder.write("e.yaml", kExperiment).string()});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.out.find("== saliency ==\n"), std::string::npos);
  EXPECT_NE(made.out.find("== att ==\n"), std::string::npos);
  const fs::path run = only_run(folder);
  EXPECT_TRUE(run.filename().string().starts_with("tiny-"));
  for (const char* file : {"experiment.yaml", "manifest.json", "ro-crate-metadata.json", "results/saliency.json",
                           "results/att.json", "saliency.json", "att.json"})
    EXPECT_TRUE(fs::is_regular_file(run / file)) << file;
  const auto manifest = nlohmann::json::parse(std::ifstream(run / "manifest.json"));
  EXPECT_EQ(manifest.at("model").at("class"), "LlamaForCausalLM");
  EXPECT_EQ(manifest.at("inputs").at("texts").size(), 2u);
  EXPECT_GT(manifest.at("attributions")[0].at("cost").at("backward_tokens"), 0);
  std::vector<std::string> plugins;
  for (const auto& plugin : manifest.at("plugins"))
    plugins.push_back(plugin.at("kind").get<std::string>() + " " + plugin.at("name").get<std::string>());
  EXPECT_EQ(plugins, (std::vector<std::string>{"model decoder_only", "method attention", "method saliency",
                                               "step_function probability", "aggregator scores", "renderer json",
                                               "renderer terminal"}));
  const auto crate = nlohmann::json::parse(std::ifstream(run / "ro-crate-metadata.json"));
  EXPECT_EQ(crate.at("@context"), "https://w3id.org/ro/crate/1.1/context");
  EXPECT_EQ(whence_tool({"validate", (run / "experiment.yaml").string()}).status, 0);
}

TEST(Run, DoesNoWorkTwice) {
  const TemporaryFolder folder;
  const std::string file = folder.write("e.yaml", kExperiment).string();
  const Outcome first = whence_tool({"run", file});
  ASSERT_EQ(first.status, 0) << first.err;
  const auto written = fs::last_write_time(only_run(folder) / "manifest.json");
  const Outcome second = whence_tool({"run", file});
  EXPECT_EQ(second.out, first.out);
  EXPECT_NE(second.err.find("nothing to do: this run is stored in "), std::string::npos) << second.err;
  EXPECT_EQ(second.err.find("generating"), std::string::npos);
  EXPECT_EQ(fs::last_write_time(only_run(folder) / "manifest.json"), written);
  EXPECT_EQ(nlohmann::json::parse(whence_tool({"run", file, "--json"}).out).at("reused"), true);
  EXPECT_EQ(nlohmann::json::parse(whence_tool({"run", file, "--json", "--force"}).out).at("reused"), false);
  EXPECT_NE(fs::last_write_time(only_run(folder) / "manifest.json"), written);
}

TEST(Run, DoesNotDependOnTheBatchSize) {
  const TemporaryFolder folder;
  for (const char* size : {"1", "2"}) {
    const Outcome made =
        whence_tool({"run", folder.write("e.yaml", kExperiment + "batch_size: " + size + "\n").string(), "--quiet"});
    ASSERT_EQ(made.status, 0) << made.err;
  }
  std::vector<std::string> pages;
  for (const char* size : {"1", "2"})
    pages.push_back(
        whence_tool({"run", folder.write("e.yaml", kExperiment + "batch_size: " + size + "\n").string(), "--quiet"})
            .out);
  EXPECT_EQ(pages[0], pages[1]);
}

TEST(Run, LeavesNothingWhenItFails) {
  const TemporaryFolder folder;
  const Outcome failed = whence_tool({"run", folder.write("e.yaml", kExperiment + "sead: 1\n").string()});
  EXPECT_EQ(failed.status, 2);
  EXPECT_EQ(failed.out, "");
  const Outcome late = whence_tool(
      {"run", folder
                  .write("e.yaml", "model: " + kTinyModel +
                                       "\ninputs: {text: a, generated: b}\nattributions: saliency\noutput_dir: out\n")
                  .string()});
  EXPECT_EQ(late.status, 5);
  EXPECT_NE(late.err.find("e.yaml:2:9: input '0': the generated text does not extend the prompt"), std::string::npos)
      << late.err;
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(Run, SaysWhichOutputsCollide) {
  const TemporaryFolder folder;
  const std::string text = "model: " + kTinyModel +
                           "\ninputs: a\nattributions: saliency\noutputs: [{renderer: json, file: '{name}.x'}, "
                           "{renderer: terminal, file: '{name}.x'}]\n";
  const std::string file = folder.write("e.yaml", text).string();
  expect_error(whence_tool({"run", file}), 2,
               file +
                   ":4:58: the file 'saliency.x' would be written twice, by renderer 'json' and by renderer "
                   "'terminal'; give one another 'file'");
}

TEST(Run, NeverSearchesTheWorkingDirectoryForPlugins) {
  const Outcome found = whence_tool({"doctor", "--json"}, {"WHENCE_PLUGIN_PATH=::"});
  EXPECT_EQ(found.status, 0);
  const auto report = nlohmann::json::parse(found.out);
  for (const auto& line : report.at("environment")) EXPECT_NE(line.at("value"), fs::current_path().string());
}

}  // namespace
