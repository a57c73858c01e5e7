#include <gtest/gtest.h>

#include "host/experiment.h"
#include "host/yaml.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using whence::testing::TemporaryFolder;

const std::string kRest = "model: /m.gguf\nattributions: saliency\n";

Experiment parse(const std::string& text) { return parse_experiment(parse_yaml(kRest + text, "e.yaml"), "/base"); }

std::string error_of(const std::string& text) {
  return testing::text_of_error<ConfigError>([&] { parse(text); });
}

TEST(ContrastText, OfAnInputIsReadAndWrittenOut) {
  const Experiment experiment = parse(
      "inputs:\n"
      "  - {text: a, contrast_target: a c, contrast_alignment: [[1, 2], [3, 1]]}\n"
      "  - {text: b, contrast_target: b c, contrast_source: s, contrast_alignment: auto}\n"
      "  - {text: c, contrast_source: s}\n"
      "  - {text: d, contrast_target: e, contrast_alignment: {model: m, layer: 8}}\n"
      "  - {text: d, contrast_target: e, contrast_alignment: right}\n"
      "  - f\n");
  const auto& inputs = experiment.inputs;
  EXPECT_EQ(inputs[0].contrast->target, "a c");
  EXPECT_EQ(inputs[0].contrast->alignment->pairs, (std::vector<AlignedPair>{{1, 2}, {3, 1}}));
  EXPECT_EQ(inputs[1].contrast->source, "s");
  EXPECT_EQ(inputs[1].contrast->alignment->way, AlignmentWay::tokens);
  EXPECT_FALSE(inputs[2].contrast->alignment);
  EXPECT_EQ(inputs[3].contrast->alignment->model, "/base/m");
  EXPECT_EQ(inputs[3].contrast->alignment->layer, 8);
  EXPECT_EQ(inputs[4].contrast->alignment->way, AlignmentWay::right);
  EXPECT_FALSE(inputs[5].contrast);
  EXPECT_EQ(inputs[0].contrast->where.text(), "e.yaml:4:15");

  const Experiment again = parse_experiment(parse_yaml(to_yaml(resolved(experiment)), "r.yaml"), "/base");
  EXPECT_EQ(again.inputs, inputs);
  EXPECT_FALSE(again.inputs[0] == inputs[1]);
}

TEST(ContrastText, OfTheExperimentServesInputsWithoutTheirOwn) {
  const Experiment experiment = parse(
      "inputs: [a, {text: b, contrast_target: own, contrast_alignment: right}]\n"
      "contrast_target: common\ncontrast_alignment: auto\n");
  EXPECT_EQ(experiment.inputs[0].contrast->target, "common");
  EXPECT_EQ(experiment.inputs[0].contrast->alignment->way, AlignmentWay::tokens);
  EXPECT_EQ(experiment.inputs[1].contrast->target, "own");
  EXPECT_EQ(experiment.inputs[1].contrast->alignment->way, AlignmentWay::right);
  const Experiment only_alignment =
      parse("inputs: [{text: a, contrast_source: s}, {text: b, contrast_target: c}]\ncontrast_alignment: auto\n");
  EXPECT_FALSE(only_alignment.inputs[0].contrast->alignment) << "there is nothing to align";
  EXPECT_TRUE(only_alignment.inputs[1].contrast->alignment);
}

TEST(ContrastText, NamesThePlaceOfWhatIsWrong) {
  EXPECT_EQ(error_of("inputs: a\ncontrast_alignment: auto\n"),
            "e.yaml:4:1: 'contrast_alignment' has no effect, since no input has a contrast_target");
  const auto alignment = [](const std::string& text) {
    return error_of("inputs: a\ncontrast_target: b\ncontrast_alignment: " + text + "\n");
  };
  EXPECT_EQ(alignment("rigth"), "e.yaml:5:21: unknown alignment 'rigth'; did you mean 'right'? known: auto, right");
  EXPECT_EQ(alignment("[[1, 2], 3]"),
            "e.yaml:5:30: expected a pair [position in the text, position in the contrastive target], found integer");
  EXPECT_EQ(alignment("[[1, 2, 3]]"),
            "e.yaml:5:22: expected a pair [position in the text, position in the contrastive target], found list of 3");
  EXPECT_EQ(alignment("[[2, 0]]"),
            "e.yaml:5:26: position 0 of the contrastive target; expected at least 1, since a token needs one before it "
            "that predicts it");
  EXPECT_EQ(alignment("[[2, 1], [2, 3]]"),
            "e.yaml:5:30: position 2 of the text is in two pairs; a step is compared with one token, so keep one");
  EXPECT_EQ(alignment("{model: m, layer: -1}"), "e.yaml:5:39: 'layer' is -1; expected at least 0");
  EXPECT_TRUE(alignment("{modell: m}").starts_with("e.yaml:5:22: unknown key 'modell'")) << alignment("{modell: m}");
}

TEST(ContrastText, OfARecordIsReadFromItsMembers) {
  const TemporaryFolder folder;
  const auto file = folder.write("t.jsonl", R"({"text": "a", "other": "a c", "contrast_alignment": [[2, 3]]})"
                                            "\n"
                                            R"({"text": "b", "contrast_source": "s"})"
                                            "\n"
                                            R"({"text": "c", "other": "d", "contrast_alignment": {"model": "m"}})");
  const auto inputs = read_inputs(file, parse_yaml("{contrast_target: other}", "e.yaml"));
  EXPECT_EQ(inputs[0].contrast->target, "a c");
  EXPECT_EQ(inputs[0].contrast->alignment->pairs, (std::vector<AlignedPair>{{2, 3}}));
  EXPECT_EQ(inputs[0].contrast->where.line, 1);
  EXPECT_EQ(inputs[1].contrast->source, "s");
  EXPECT_EQ(inputs[2].contrast->alignment->model, (folder.path() / "m").string());

  const auto wrong = [&](const std::string& record) {
    return testing::text_of_error<InputError>([&] { read_inputs(folder.write("w.jsonl", record), {}); });
  };
  const std::string place = (folder.path() / "w.jsonl").string() + ":1: ";
  EXPECT_EQ(wrong(R"({"text": "a", "contrast_target": 3})"), place + "'contrast_target' is number; expected text");
  EXPECT_EQ(wrong(R"({"text": "a", "contrast_target": "b", "contrast_alignment": [[2, 1], [2, 1]]})"),
            place +
                "'contrast_alignment': position 2 of the text is in two pairs; a step is compared with one token, "
                "so keep one");
}

}  // namespace
}  // namespace whence::host
