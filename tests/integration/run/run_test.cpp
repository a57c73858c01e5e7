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
  EXPECT_GT(manifest.at("attributions")[0].at("cost").at("backward_rows"), 0);
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

/// Runs an experiment on the tiny model with these lines added.
Outcome run_with(const TemporaryFolder& folder, const std::string& lines, const std::vector<std::string>& words = {}) {
  const std::string start = "model: " + kTinyModel + "\ninputs: {text: It was a, generated: It was a red}\n";
  std::vector<std::string> all{"run", folder.write("e.yaml", start + lines).string()};
  all.insert(all.end(), words.begin(), words.end());
  return whence_tool(all);
}

TEST(Run, NamesPathsThatCannotBeUsed) {
  const TemporaryFolder folder;
  const fs::path loop = folder.path() / "loop";
  fs::create_symlink(loop, loop);
  const std::string file =
      folder.write("e.yaml", "model: " + loop.string() + "\ninputs: a\nattributions: saliency\n").string();
  expect_error(whence_tool({"run", file}), 4,
               file + ":1:8: " + loop.string() +
                   ": cannot be opened: Too many levels of symbolic links; expected the file or the folder of a "
                   "checkpoint (bare names are also looked for in the folders of WHENCE_MODELS)");
  const std::string longest(300, 'x');
  expect_error(whence_tool({"reproduce", longest}), 5,
               "'" + longest +
                   "' is no run directory; expected one that 'whence run' made, with manifest.json and "
                   "experiment.yaml");
}

TEST(Run, OpensPluginsBeforeTheModel) {
  const TemporaryFolder folder;
  folder.write("m.gguf", "no checkpoint");
  const std::string file =
      folder
          .write("e.yaml",
                 "model: m.gguf\ninputs: a\n"
                 "attributions: {method: saliency, aggregation: [{mean: {index: 0, indices: [1]}}]}\n")
          .string();
  expect_error(whence_tool({"run", file, "-o", (folder.path() / "out").string()}), 2,
               file + ":3:48: index, range and indices: expected at most one of them; drop the others");
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(Run, FindsBadOutputFoldersBeforeItComputes) {
  const TemporaryFolder folder;
  for (const std::string parent : {"/proc/none", "e.yaml"}) {
    const Outcome made = run_with(folder, "attributions: saliency\noutput_dir: " + parent + "\n");
    EXPECT_EQ(made.status, 5);
    EXPECT_NE(made.err.find(": no folder can be made there: "), std::string::npos) << made.err;
    EXPECT_EQ(made.err.find("saliency"), std::string::npos) << made.err;
  }
}

TEST(Run, StoresResultsThatCannotBeRendered) {
  const TemporaryFolder folder;
  const std::string lines =
      "attributions: {method: saliency, aggregation: []}\noutputs: {renderer: terminal, file: '{name}.txt'}\n"
      "output_dir: out\n";
  const Outcome made = run_with(folder, lines);
  EXPECT_EQ(made.status, 2);
  EXPECT_NE(made.err.find("e.yaml:4:21: attribution 'saliency', renderer 'terminal': terminal: sequence 0 has scores "),
            std::string::npos)
      << made.err;
  EXPECT_NE(made.err.find("the results are stored in "), std::string::npos) << made.err;
  EXPECT_TRUE(fs::is_regular_file(only_run(folder) / "results/saliency.json"));
  expect_error(run_with(folder, lines), 5,
               only_run(folder).string() +
                   ": is not what the run wrote: stored saliency.txt: is missing; --force makes it again");
}

TEST(Run, SaysWhereResultsAreBeforeItShowsThem) {
  const TemporaryFolder folder;
  const Outcome made = run_with(folder, "attributions: {method: saliency, aggregation: []}\noutput_dir: out\n");
  EXPECT_EQ(made.status, 2);
  EXPECT_NE(made.err.find("stored in " + only_run(folder).string()), std::string::npos) << made.err;
}

TEST(Run, NamesThePlaceOfAnAggregatorThatFails) {
  const TemporaryFolder folder;
  const Outcome made =
      run_with(folder, "attributions: {method: saliency, aggregation: [vnorm, mean]}\noutput_dir: out\n");
  EXPECT_EQ(made.status, 2);
  EXPECT_NE(made.err.find("e.yaml:3:55: aggregator 'mean': "), std::string::npos) << made.err;
}

TEST(Run, NoticesStoredFilesThatChanged) {
  const TemporaryFolder folder;
  const std::string lines = "attributions: saliency\noutputs: {renderer: json, file: '{name}.json'}\noutput_dir: out\n";
  ASSERT_EQ(run_with(folder, lines).status, 0);
  const fs::path run = only_run(folder);
  fs::remove(run / "saliency.json");
  expect_error(run_with(folder, lines), 5,
               run.string() + ": is not what the run wrote: stored saliency.json: is missing; --force makes it again");
  ASSERT_EQ(run_with(folder, lines, {"--force"}).status, 0);
  std::ofstream(run / "results/saliency.json") << "{";
  const Outcome damaged = run_with(folder, lines);
  EXPECT_EQ(damaged.status, 5);
  EXPECT_NE(damaged.err.find(": is not what the run wrote: stored results/saliency.json: sha256 was "),
            std::string::npos)
      << damaged.err;
  EXPECT_NE(damaged.err.find("; --force makes it again"), std::string::npos) << damaged.err;
}

TEST(Run, CountsOnlyFilesTheModelIsReadFrom) {
  const TemporaryFolder folder;
  fs::copy(kTinyModel, folder.path() / "model");
  const std::string file =
      folder
          .write("e.yaml",
                 "model: model\ninputs: {text: It was a, generated: It was a red}\nattributions: saliency\n"
                 "output_dir: out\n")
          .string();
  ASSERT_EQ(whence_tool({"run", file}).status, 0);
  folder.write("model/README.md", "a model");
  EXPECT_NE(whence_tool({"run", file}).err.find("nothing to do: "), std::string::npos);
  EXPECT_EQ(whence_tool({"reproduce", only_run(folder).string()}).status, 0);
}

TEST(Run, ChecksInputsAndPluginsBeforeTheModelIsLoaded) {
  const TemporaryFolder folder;
  const auto check = [&](const std::string& lines) {
    const std::string file = folder.write("e.yaml", lines).string();
    return whence_tool({"validate", file});
  };
  const std::string place = (folder.path() / "e.yaml").string(), model = "model: " + kTinyModel + "\n";
  const Outcome empty = check(model + "inputs: ''\nattributions: saliency\n");
  EXPECT_EQ(empty.status, 5);
  EXPECT_EQ(empty.out, place + ":2:9: input '0': the text is empty; a model needs at least one token to start from\n");
  // Whether a continuation has to begin with its text depends on the model.
  folder.write("e.yaml", model + "inputs: {text: a, generated: b}\nattributions: saliency\n");
  const Outcome other = whence_tool({"run", place});
  EXPECT_EQ(other.status, 5);
  EXPECT_NE(other.err.find(place + ":2:9: input '0': the generated text does not extend the prompt: prompt 'a', "
                                   "generated 'b'; write the prompt at its beginning, too\n"),
            std::string::npos)
      << other.err;
  const Outcome plugin = check("model: {path: m, plugin: nope}\ninputs: a\nattributions: saliency\n");
  EXPECT_EQ(plugin.status, 2);
  EXPECT_TRUE(plugin.out.starts_with(place + ":1:26: unknown model 'nope'")) << plugin.out;
  const Outcome missing = check("model: none\ninputs: a\nattributions: saliency\n");
  EXPECT_EQ(missing.status, 4);
  EXPECT_TRUE(
      missing.out.starts_with(place + ":1:8: " + (folder.path() / "none").string() + ": no such file or directory; "))
      << missing.out;
}

TEST(Run, PassesOverBrokenArchitectures) {
  const TemporaryFolder folder;
  folder.write("architectures/bad.yaml", "a: [");
  const std::vector<std::string> words{"attribute", "-m", kTinyModel, "-i", "It was a", "-g", "It was a red", "--hide"};
  const std::string variable = "WHENCE_ARCHITECTURE_PATH=" + (folder.path() / "architectures").string();
  const Outcome made = whence_tool(words, {variable});
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.err.find("passed over: " + (folder.path() / "architectures/bad.yaml").string() + ":1:"),
            std::string::npos)
      << made.err;
  folder.write("architectures/llama.yaml", "a: [");
  const Outcome refused = whence_tool(words, {variable});
  EXPECT_EQ(refused.status, 4);
  EXPECT_NE(refused.err.find("; architectures not read: "), std::string::npos) << refused.err;
}

TEST(Run, NamesInputsAndTokensThatCannotBeUsed) {
  const Outcome bytes = whence_tool({"attribute", "-m", kTinyModel, "-i", "\xff", "--hide"});
  EXPECT_EQ(bytes.status, 5);
  EXPECT_NE(bytes.err.find("input '0': "), std::string::npos) << bytes.err;
  const Outcome eos =
      whence_tool({"attribute", "-m", kTinyModel, "-i", "It", "--generation-kwargs", "{\"eos_token_id\": 9999999}"});
  EXPECT_EQ(eos.status, 2);
  EXPECT_NE(eos.err.find("'eos_token_id' of the generation: 9999999 is no token id of model "), std::string::npos)
      << eos.err;
}

TEST(Run, SaysWhenTheContextIsFull) {
  const Outcome made = whence_tool({"attribute", "-m", kTinyModel, "-i", "It was a", "--hide", "--generation-kwargs",
                                    "{\"max_new_tokens\": 2000000000, \"eos_token_id\": []}"});
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.err.find("input '0': the continuation ends after "), std::string::npos) << made.err;
}

TEST(Run, GeneratesAsTheCheckpointSaysAndTellsIt) {
  const TemporaryFolder folder;
  fs::copy(kTinyModel, folder.path() / "m");
  folder.write("m/generation_config.json",
               R"({"num_beams": 3, "max_new_tokens": 4, "bad_words_ids": [[5]], "eos_token_id": 2})");
  const auto attribute = [&](const std::string& kwargs) {
    return whence_tool(
        {"attribute", "-m", (folder.path() / "m").string(), "-i", "It was a", "--json", "--generation-kwargs", kwargs});
  };
  const Outcome made = attribute("{\"length_penalty\": 0.5}");
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_NE(
      made.err.find("texts are generated as the checkpoint 'm' says: max_new_tokens 4, num_beams 3, bad_words_ids; "
                    "give these options to change that"),
      std::string::npos)
      << made.err;
  const auto options = nlohmann::json::parse(made.out).at("attributes").at("info").at("generation_args");
  EXPECT_EQ(options.at("num_beams"), 3);
  EXPECT_EQ(options.at("length_penalty"), 0.5);
  EXPECT_EQ(options.at("eos_token_id"), std::vector<int>{2});
  const Outcome own = attribute("{\"num_beams\": 1, \"max_new_tokens\": 4, \"bad_words_ids\": []}");
  EXPECT_EQ(own.status, 0);
  EXPECT_EQ(own.err.find("texts are generated as"), std::string::npos) << own.err;
  const Outcome idle = attribute("{\"top_p\": 0.5}");
  EXPECT_EQ(idle.status, 2);
  EXPECT_NE(idle.err.find("'top_p' of the generation is 0.5, which has no effect without do_sample; set do_sample to "
                          "true, or leave it out"),
            std::string::npos)
      << idle.err;
}

TEST(Run, SaysWhenOptionsGenerateNothing) {
  const Outcome full = whence_tool(
      {"attribute", "-m", kTinyModel, "-i", "It was a", "--hide", "--generation-kwargs", "{\"max_length\": 2}"});
  EXPECT_EQ(full.status, 5);
  EXPECT_NE(full.err.find("tokens and max_length is 2, so there is none left to generate; raise it, or give "
                          "max_new_tokens in its place"),
            std::string::npos)
      << full.err;
  const Outcome forced = whence_tool({"attribute", "-m", kTinyModel, "-i", "It was a", "--hide", "--generation-kwargs",
                                      "{\"forced_bos_token_id\": 7}"});
  EXPECT_EQ(forced.status, 0);
  EXPECT_NE(forced.err.find("input '0': forced_bos_token_id has no effect, since it comes behind a text of one token"),
            std::string::npos)
      << forced.err;
  const Outcome given = whence_tool({"attribute", "-m", kTinyModel, "-i", "It was a", "-g", "It was a red book",
                                     "--hide", "--generation-kwargs", "{\"num_beams\": 2}"});
  EXPECT_EQ(given.status, 0);
  EXPECT_NE(given.err.find("the generation options have no effect, since every text is given"), std::string::npos)
      << given.err;
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
