// `whence reproduce`: agreement, and every way a run can differ.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

/// A finished run of a copy of the tiny model.
class Reproduce : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy(kTinyModel, folder_.path() / "model");
    const std::string experiment =
        "name: tiny\nmodel: model\ninputs: {text: It was a, generated: It was a red book}\nattributions: {method: "
        "saliency, step_scores: probability}\noutput_dir: out\n";
    const Outcome made = whence_tool({"run", folder_.write("e.yaml", experiment).string(), "--json"});
    ASSERT_EQ(made.status, 0) << made.err;
    run_ = nlohmann::json::parse(made.out).at("directory").get<std::string>();
  }

  /// Saves the same text with another score: a result that the run did not make.
  void tamper() const {
    const Outcome other =
        whence_tool({"attribute", "-m", kTinyModel, "-i", "It was a", "-g", "It was a red book", "-fn", "logit",
                     "--step_scores", "probability", "--hide", "-o", (run_ / "results/saliency.json").string()});
    ASSERT_EQ(other.status, 0) << other.err;
  }

  TemporaryFolder folder_;
  fs::path run_;
};

TEST_F(Reproduce, AgreesWithItself) {
  const Outcome again = whence_tool({"reproduce", run_.string(), "--json"});
  ASSERT_EQ(again.status, 0) << again.err;
  const auto report = nlohmann::json::parse(again.out);
  EXPECT_EQ(report.at("agrees"), true);
  EXPECT_TRUE(report.at("changes").empty());
  ASSERT_EQ(report.at("tensors").size(), 3u);
  EXPECT_EQ(report.at("tensors")[1].at("tensor"), "target_attributions");
}

TEST_F(Reproduce, FindsATamperedResult) {
  tamper();
  const Outcome again = whence_tool({"reproduce", run_.string()});
  EXPECT_EQ(again.status, 6);
  EXPECT_NE(again.out.find("changed: stored results/saliency.json: sha256 was "), std::string::npos) << again.out;
  EXPECT_NE(again.out.find(" - DISAGREES\n"), std::string::npos);
  EXPECT_NE(again.err.find("disagree with the stored ones by more than the tolerance 0.001"), std::string::npos)
      << again.err;
  EXPECT_EQ(whence_tool({"reproduce", run_.string(), "--tolerance", "1e9"}).status, 0);
}

TEST_F(Reproduce, FindsAnotherCheckpoint) {
  folder_.write("model/generation_config.json", "{\"eos_token_id\": 2}");
  const Outcome again = whence_tool({"reproduce", run_.string()});
  EXPECT_EQ(again.status, 6);
  EXPECT_NE(again.err.find("is not the checkpoint of the run; model file generation_config.json: sha256 was "),
            std::string::npos)
      << again.err;
  EXPECT_NE(again.err.find("--allow-changed compares all the same"), std::string::npos);
  EXPECT_EQ(whence_tool({"reproduce", run_.string(), "--allow-changed"}).status, 0);
}

TEST_F(Reproduce, FindsAMovedCheckpoint) {
  fs::rename(folder_.path() / "model", folder_.path() / "moved");
  EXPECT_EQ(whence_tool({"reproduce", run_.string()}).status, 4);
  EXPECT_EQ(whence_tool({"reproduce", run_.string(), "--model", (folder_.path() / "moved").string()}).status, 0);
}

TEST_F(Reproduce, NamesDamagedDirectories) {
  EXPECT_EQ(whence_tool({"reproduce", folder_.path().string()}).status, 5);
  std::ofstream(run_ / "manifest.json") << "{";
  expect_error(whence_tool({"reproduce", run_.string()}), 5,
               (run_ / "manifest.json").string() + ": not valid JSON, so no manifest of a run; make the run again");
  std::ofstream(run_ / "manifest.json") << "{}";
  expect_error(whence_tool({"reproduce", run_.string()}), 5,
               (run_ / "manifest.json").string() +
                   ": no manifest of a run: expected a list at /model/files; make the run again");
}

TEST_F(Reproduce, FindsAnEditedExperiment) {
  std::ofstream(run_ / "experiment.yaml", std::ios::app) << "# edited\n";
  const Outcome again = whence_tool({"reproduce", run_.string()});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_NE(again.out.find("changed: stored experiment.yaml: sha256 was "), std::string::npos) << again.out;
}

}  // namespace
