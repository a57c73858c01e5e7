// doctor: what is installed, and what a checkpoint is.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

TEST(Doctor, OpensEveryPlugin) {
  const Outcome report = whence_tool({"doctor"});
  EXPECT_EQ(report.status, 0) << report.out;
  EXPECT_NE(report.out.find("libtorch: "), std::string::npos);
  EXPECT_NE(report.out.find("\nbuild id: "), std::string::npos);
  EXPECT_NE(report.out.find("method saliency: ok\n"), std::string::npos);
  EXPECT_EQ(
      whence_tool({"doctor", "--plugin", WHENCE_BINARY_DIR "/lib/whence/plugins/method.saliency.manifest.yaml"}).status,
      0);
  EXPECT_EQ(whence_tool({"doctor", "--plugin", "/nowhere.manifest.yaml"}).status, 3);
  for (const std::string name : {"/nope", "/method.saliency.wplugin", "/.manifest.yaml"})
    expect_error(whence_tool({"doctor", "--plugin", name}), 2,
                 name + ": expected a file named KIND.NAME.manifest.yaml");
}

TEST(Doctor, SaysWhatIsBroken) {
  const TemporaryFolder folder;
  folder.write("method.lonely.wplugin", "no library");
  const Outcome report = whence_tool({"doctor", "--json", "--plugin-path", folder.path().string()});
  EXPECT_EQ(report.status, 3);
  std::size_t broken = 0;
  const auto json = nlohmann::json::parse(report.out);
  for (const auto& plugin : json.at("plugins")) broken += plugin.at("problem") != "";
  EXPECT_EQ(broken, 1u) << report.out;
}

nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(std::ifstream(path)); }

TEST(DoctorOfACheckpoint, SaysWhatItIs) {
  const Outcome shown = whence_tool({"doctor", kTinyModel});
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_EQ(shown.err, "");
  const auto config = read_json(kTinyModel + "/config.json");
  const std::vector<std::string> lines = {"plugin: decoder_only",
                                          "architecture: llama by model_type 'llama', " WHENCE_BINARY_DIR
                                          "/share/whence/architectures/llama.yaml",
                                          "class: LlamaForCausalLM",
                                          "kind: decoder_only",
                                          "  hidden: " + config["hidden_size"].dump(),
                                          "  vocabulary: " + config["vocab_size"].dump(),
                                          "  kind: BPE",
                                          "  source: tokenizer.json",
                                          "chat template: none"};
  for (const std::string& line : lines)
    EXPECT_NE(("\n" + shown.out).find("\n" + line + "\n"), std::string::npos) << line << "\nin\n" << shown.out;
  for (const char* title : {"problems:", "warnings:", "not used:", "missing:", "settings that nothing reads:"})
    EXPECT_EQ(shown.out.find(title), std::string::npos) << shown.out;
  EXPECT_EQ(whence_tool({"doctor", "--model", kTinyModel}).out, shown.out);
  expect_error(whence_tool({"doctor", "a", "--model", "b"}), 2, "'a' and --model both name a checkpoint; give one");
  const Outcome missing = whence_tool({"doctor", "/nowhere"});
  EXPECT_EQ(missing.status, 4);
  EXPECT_TRUE(missing.err.starts_with("whence: error: /nowhere: no such file or directory")) << missing.err;
}

TEST(DoctorOfACheckpoint, SaysTheSameAsJson) {
  const auto report = nlohmann::json::parse(whence_tool({"doctor", kTinyModel, "--json"}).out);
  const auto config = read_json(kTinyModel + "/config.json");
  EXPECT_EQ(report.at("class"), "LlamaForCausalLM");
  EXPECT_EQ(report.at("model_type"), "llama");
  EXPECT_EQ(report.at("sizes").at("hidden"), config.at("hidden_size"));
  EXPECT_EQ(report.at("stored").at(0).at("tensors"), report.at("tensors").at("used").size());
  EXPECT_EQ(report.at("stored").at(0).at("numbers"), report.at("parameters"));
  EXPECT_GT(report.at("memory").at("forward_row"), 0);
  EXPECT_GT(report.at("memory").at("cotangent_row"), 0);
  EXPECT_EQ(report.at("problems").size(), 0u);
}

TEST(DoctorOfACheckpoint, SaysEverythingThatIsWrong) {
  const TemporaryFolder folder;
  fs::copy(kTinyModel, folder.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const std::string place = folder.path().string();
  auto config = read_json(folder.path() / "config.json");
  const int layers = config["num_hidden_layers"];
  config["num_hidden_layers"] = layers + 4;
  config["rope_scaling"] = {{"rope_type", "linear"}, {"factr", 2}};
  folder.write("config.json", config.dump());
  const Outcome shown = whence_tool({"doctor", place});
  EXPECT_EQ(shown.status, 4);
  EXPECT_EQ(shown.err, "whence: " + place + ": 37 problems; this checkpoint cannot be used\n");
  EXPECT_NE(shown.out.find("\nproblems:\n  " + place +
                           "/config.json: 'rope_scaling': unknown setting 'factr'; did you "
                           "mean 'factor'?"),
            std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("\n  missing: model.layers.*.input_layernorm.weight (4), "), std::string::npos) << shown.out;
  EXPECT_TRUE(shown.out.ends_with("\n  and 17 more, shown by --json\n")) << shown.out;
  const auto report = nlohmann::json::parse(whence_tool({"doctor", place, "--json", "--quiet"}).out);
  EXPECT_EQ(report.at("problems").size(), 37u);
  EXPECT_EQ(report.at("problems").at(36).at("exit_status"), 4);
  EXPECT_EQ(report.at("tensors").at("missing").size(), 36u);
}

TEST(DoctorOfACheckpoint, ReturnsTheStatusOfTheFirstProblem) {
  const TemporaryFolder folder;
  std::ifstream stream(WHENCE_BINARY_DIR "/share/whence/architectures/llama.yaml");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text.replace(text.find("kind: rms"), 9, "kind: rsm");
  folder.write("llama.yaml", text);
  const Outcome shown = whence_tool({"doctor", kTinyModel}, {"WHENCE_ARCHITECTURE_PATH=" + folder.path().string()});
  EXPECT_EQ(shown.status, 2) << shown.out;
  EXPECT_NE(shown.out.find("unknown kind of norm 'rsm'; did you mean 'rms'?"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("tokenizer:\n"), std::string::npos) << shown.out;
  folder.write("llama.yaml", "a: [");
  const Outcome unread = whence_tool({"doctor", kTinyModel}, {"WHENCE_ARCHITECTURE_PATH=" + folder.path().string()});
  EXPECT_EQ(unread.status, 4);
  EXPECT_NE(unread.out.find("warnings:\n  architecture file not read: " + folder.path().string() + "/llama.yaml:1:"),
            std::string::npos)
      << unread.out;
}

TEST(UnreadSettings, AreAWarningWhereTextsAreAttributed) {
  const TemporaryFolder folder;
  fs::copy(kTinyModel, folder.path());
  auto config = read_json(fs::path(kTinyModel) / "config.json");
  config["logit_scale"] = 3;
  folder.write("config.json", config.dump());
  const std::string place = folder.path().string();
  const std::string warning =
      place + ": 1 of the checkpoint's settings are not used, such as 'logit_scale: 3'; 'whence doctor' lists them";
  const Outcome made = whence_tool({"attribute", "-m", place, "-i", "The", "-g", "The nurse", "--hide"});
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.err.find(warning), std::string::npos) << made.err;
  const Outcome in_context = whence_tool({"attribute-context", "-m", place, "--input-current-text", "The",
                                          "--output-current-text", "nurse", "--no-show-viz"});
  EXPECT_NE(in_context.err.find(warning), std::string::npos) << in_context.err;
  const Outcome whole = whence_tool({"attribute", "-m", kTinyModel, "-i", "The", "-g", "The nurse", "--hide"});
  EXPECT_EQ(whole.err.find("not used"), std::string::npos) << whole.err;
}

/// Without the biases that its configuration promises.
TEST(UnusedTensors, AreAWarningWhereTextsAreAttributed) {
  const TemporaryFolder folder;
  const fs::path model = WHENCE_TEST_DATA "/models/llama_bias";
  fs::copy(model, folder.path());
  auto config = read_json(model / "config.json");
  config["mlp_bias"] = false;
  folder.write("config.json", config.dump());
  const std::string place = folder.path().string();
  const Outcome made = whence_tool({"attribute", "-m", place, "-i", "w5 w7", "-g", "w5 w7 w9", "--hide"});
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.err.find(place + ": 6 of the checkpoint's tensors are not used, such as "
                                  "'model.layers.0.mlp.down_proj.bias'; 'whence doctor' lists them"),
            std::string::npos)
      << made.err;
  const Outcome shown = whence_tool({"doctor", place});
  EXPECT_EQ(shown.status, 0) << shown.out;
  EXPECT_NE(
      shown.out.find("\n  not used: model.layers.*.mlp.down_proj.bias (2), model.layers.*.mlp.gate_proj.bias (2), "
                     "model.layers.*.mlp.up_proj.bias (2)\n"),
      std::string::npos)
      << shown.out;
}

}  // namespace
