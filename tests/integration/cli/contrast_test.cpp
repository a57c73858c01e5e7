// What texts are compared with: options, experiments, errors before a model is read, and what results record.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kPrompt = "The nurse told the", kText = "The nurse told the doctor",
                  kOther = "The nurse told the driver";

std::vector<std::string> words(std::vector<std::string> more) {
  std::vector<std::string> all{"attribute", "-m", kTinyModel, "-i", kPrompt, "-g", kText, "--quiet"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

json made(std::vector<std::string> more) {
  more.push_back("--json");
  const Outcome outcome = whence_tool(words(std::move(more)));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.status == 0 ? json::parse(outcome.out).at("attributes") : json();
}

TEST(Contrast, OptionsAndKwargsSayTheSame) {
  const json options = made({"-fn", "contrast_prob_diff", "--step-scores", "contrast_prob", "--contrast-targets",
                             kOther, "--contrast-alignments", "auto"});
  const json pairs = options.at("info").at("attributed_fn_args").at("contrast_targets_alignments");
  ASSERT_EQ(pairs.size(), 1u);
  const json kwargs{{"attributed_fn_args", {{"contrast_targets", kOther}}}, {"contrast_targets_alignments", pairs}};
  const json given =
      made({"-fn", "contrast_prob_diff", "--step-scores", "contrast_prob", "--attribution-kwargs", kwargs.dump()});
  EXPECT_EQ(given.at("sequence_attributions"), options.at("sequence_attributions"));
  EXPECT_EQ(given.at("info").at("step_scores_args"), options.at("info").at("step_scores_args"));
  EXPECT_EQ(given.at("info").at("attributed_fn_args").at("contrast_targets"), json::array({kOther}));
}

TEST(Contrast, IsShownInLabels) {
  const Outcome outcome = whence_tool(words({"-fn", "contrast_logits_diff", "--contrast-targets", kOther}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find(" → "), std::string::npos) << outcome.out;
}

TEST(Contrast, ErrorsNameTheOption) {
  expect_error(whence_tool(words({"-fn", "contrast_prob_diff"})), 2,
               "--attributed-fn: the step function 'contrast_prob_diff' compares each text with another, but input '0' "
               "names none; give it contrast_target or contrast_source");
  expect_error(
      whence_tool(words({"--contrast-targets", kOther})), 2,
      "--contrast-targets: input '0': no step function of the experiment looks at its contrast; choose one that "
      "does, such as contrast_prob_diff, or leave it out");
  expect_error(whence_tool(words({"-fn", "pcxmi", "--contrast-targets", "a", "b"})), 2,
               "--contrast-targets: 2 given for 1 of --input-texts; give one for each, or one for all");
  expect_error(whence_tool(words({"-fn", "pcxmi", "--contrast-targets", kOther, "--attribution-kwargs",
                                  R"({"contrast_targets": "a"})"})),
               2, "--contrast-targets: contrast_targets is in --attribution-kwargs, too; leave one out");
  expect_error(
      whence_tool(words({"-fn", "pcxmi", "--attribution-kwargs",
                         R"({"contrast_targets": "a", "attributed_fn_args": {"contrast_targets": "b"}})"})),
      2,
      "--attribution-kwargs: 'contrast_targets' is given twice and differs; every function compares a text with "
      "the same one, so keep one");
  const Outcome open =
      whence_tool(words({"-fn", "pcxmi", "--contrast-targets", kOther, "--contrast-alignments", "[[1, 1]"}));
  EXPECT_EQ(open.status, 2);
  EXPECT_TRUE(open.err.starts_with("whence: error: --contrast-alignments:1:")) << open.err;
  expect_error(whence_tool(words({"-fn", "pcxmi", "--contrast-targets", kOther, "--contrast-alignments", "atuo"})), 2,
               "--contrast-alignments:1:1: unknown alignment 'atuo'; did you mean 'auto'? known: auto, right");
}

/// An experiment in a folder of its own.
class ContrastRun : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  fs::path experiment(const std::string& contrast) const {
    return folder.write("e.yaml", "model: " + kTinyModel + "\ninputs:\n  - text: " + kPrompt +
                                      "\n    generated: " + kText + "\n" + contrast +
                                      "attributions:\n  method: saliency\n  attributed_function: contrast_prob_diff\n"
                                      "output_dir: out\n");
  }

  fs::path run() const {
    for (const auto& entry : fs::directory_iterator(folder.path() / "out")) return entry.path();
    return {};
  }
};

TEST_F(ContrastRun, IsReproducedWithoutTheAligner) {
  const fs::path aligner = folder.path() / "aligner";
  fs::copy(kTinyModel, aligner);
  const auto file =
      experiment("    contrast_target: " + kOther + "\n    contrast_alignment: {model: aligner, layer: 1}\n");
  const Outcome outcome = whence_tool({"run", file.string(), "--quiet"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  fs::remove_all(aligner);
  const Outcome again = whence_tool({"reproduce", run().string()});
  EXPECT_EQ(again.status, 0) << again.err;
  const Outcome gone = whence_tool({"validate", file.string()});
  EXPECT_EQ(gone.status, 4);
  EXPECT_NE(gone.out.find("aligner: no such file or directory"), std::string::npos) << gone.out;
}

TEST_F(ContrastRun, IsCheckedBeforeAModelIsRead) {
  const auto problem = [&](const std::string& contrast) {
    const Outcome outcome = whence_tool({"validate", experiment(contrast).string()});
    EXPECT_EQ(outcome.status, 2);
    return outcome.out;
  };
  EXPECT_NE(problem("").find("e.yaml:7:24: the step function 'contrast_prob_diff' compares each text with another"),
            std::string::npos)
      << problem("");
  const std::string pairs = problem("    contrast_target: x\n    contrast_alignment: [[2, 1], [2, 2]]\n");
  EXPECT_NE(pairs.find("e.yaml:6:34: position 2 of the text is in two pairs"), std::string::npos) << pairs;
  EXPECT_EQ(whence_tool({"validate", experiment("    contrast_target: " + kOther + "\n").string()}).status, 0);
}

TEST(Contrast, ExampleSaysWhichWordsSpeakForAPronoun) {
  const TemporaryFolder folder;
  const Outcome outcome = whence_tool({"run", WHENCE_SOURCE_DIR "/configs/experiments/gender_pronoun.yaml", "-o",
                                       folder.path().string(), "--quiet", "--color", "never"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find(" → "), std::string::npos) << outcome.out;
}

}  // namespace
