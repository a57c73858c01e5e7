#include "host/experiment.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "host/attribute.h"
#include "host/yaml.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using whence::testing::TemporaryFolder;

const std::string kSmallest = "model: /m.gguf\ninputs: hello\nattributions: saliency\n";

Experiment parse(const std::string& text) { return parse_experiment(parse_yaml(text, "e.yaml"), "/base"); }

/// Text of the error of an experiment, with its status.
std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Experiment, ReadsChats) {
  const std::string rest = "model: /m.gguf\nattributions: saliency\n";
  const Experiment one = parse(rest + "messages: [{role: user, content: hi}]\nsystem: short\n");
  ASSERT_EQ(one.inputs.size(), 1u);
  ASSERT_EQ(one.inputs[0].messages.as_list().size(), 2u);
  EXPECT_EQ(one.inputs[0].messages.as_list()[0].at("role").as_string(), "system");
  const Experiment several = parse(rest + "inputs: [hello, {messages: [{role: user, content: hi}], generated: yes}]\n" +
                                   "chat: {chat_template_kwargs: {enable_thinking: false}, continue_final_message: "
                                   "false, now: 2026-01-31T00:00:00}\n");
  EXPECT_EQ(several.inputs[0].messages.as_list()[0].at("content").as_string(), "hello");
  EXPECT_EQ(several.chat.variables.size(), 1u);
  const Experiment again = parse_experiment(parse_yaml(to_yaml(resolved(several)), "r.yaml"), "/base");
  EXPECT_EQ(again.inputs, several.inputs);
  EXPECT_EQ(again.chat, several.chat);
  EXPECT_TRUE(parse(kSmallest).inputs[0].messages.is_null());
}

TEST(Experiment, RefusesChatsThatSayTwoThings) {
  const std::string rest = "model: /m.gguf\nattributions: saliency\n";
  EXPECT_EQ(error_of(rest + "inputs: hi\nmessages: [{role: user, content: hi}]\n"),
            "e.yaml:4:1: 'messages' and 'inputs' are given; keep one, since both are the prompt");
  EXPECT_EQ(error_of(rest + "inputs:\n  - text: hi\n    messages: [{role: user, content: hi}]\n"),
            "e.yaml:5:5: an input has 'text' and 'messages'; keep one, since both are the prompt");
  EXPECT_EQ(error_of(rest + "messages: [{role: system, content: hi}]\nsystem: short\n"),
            "e.yaml:4:1: 'system' is given, but the messages begin with one of the system; keep one");
  EXPECT_EQ(error_of(rest + "inputs: hi\nchat: {template_file: none.jinja}\n"),
            "e.yaml:4:23: /base/none.jinja: cannot be read or is empty; expected a chat template in Jinja");
}

TEST(Experiment, MessagesAreCheckedWithoutAModel) {
  const std::string rest = "model: /m.gguf\nattributions: saliency\n";
  const auto error_of_input = [&](const std::string& messages) {
    const Experiment experiment = parse(rest + "messages: " + messages + "\n");
    return whence::testing::text_of_error([&] { check_input(experiment.inputs[0]); });
  };
  EXPECT_EQ(error_of_input("[]"), "e.yaml:3:11: 'messages' is empty; give at least one {role: ..., content: ...}");
  EXPECT_EQ(error_of_input("[{role: user}]"),
            "e.yaml:3:12: a message has no 'content'; only one with 'tool_calls' may be without");
  EXPECT_NO_THROW(check_input(parse(rest + "messages: [{role: user, content: hi}]\n").inputs[0]));
}

TEST(Experiment, SmallestHasDefaults) {
  const Experiment experiment = parse(kSmallest);
  EXPECT_EQ(experiment.model_path, "/m.gguf");
  ASSERT_EQ(experiment.inputs.size(), 1u);
  EXPECT_EQ(experiment.inputs[0].text, "hello");
  EXPECT_EQ(experiment.inputs[0].id, "0");
  ASSERT_EQ(experiment.attributions.size(), 1u);
  EXPECT_EQ(experiment.attributions[0].name, "saliency");
  EXPECT_EQ(experiment.attributions[0].attributed_function.name, "probability");
  EXPECT_FALSE(experiment.attributions[0].aggregation);
  ASSERT_EQ(experiment.outputs.size(), 1u);
  EXPECT_EQ(experiment.outputs[0].renderer.name, "terminal");
  EXPECT_EQ(experiment.batch_size, 8);
}

TEST(Experiment, ReadsEveryKey) {
  const Experiment experiment = parse(R"(
name: all
model: {path: m, plugin: decoder_only, dtype: bfloat16, weights: packed}
inputs:
  - {id: a, text: x, generated: x y, start: 1, end: -1}
  - plain
generation: {max_new_tokens: 3, do_sample: true, temperature: 0.5, top_k: 4, top_p: 0.9, eos: [1, 2], stop: end, seed: 7}
attributions:
  - name: one
    method: integrated_gradients
    params: {n_steps: 3}
    attributed_function: {probability: {logprob: true}}
    step_scores: [entropy, {probability: {logprob: true}}]
    aggregation: [vnorm, subwords]
    granularity: full
  - {name: two, method: {occlusion: {stride: 2}}, step_scores: entropy}
outputs:
  - terminal
  - {renderer: json, params: {precision: float16}, file: "{name}.json"}
seed: 5
threads: 2
memory: 2 GiB
batch_size: 4
attribute_target: true
include_eos_baseline: true
plugins: {paths: [p]}
output_dir: out
)");
  EXPECT_EQ(experiment.model_path, "/base/m");
  EXPECT_EQ(experiment.model_plugin, "decoder_only");
  EXPECT_EQ(experiment.dtype, "bfloat16");
  EXPECT_EQ(experiment.weights, "packed");
  EXPECT_EQ(experiment.attributions[0].granularity, Granularity::full);
  EXPECT_EQ(experiment.attributions[1].granularity, Granularity::token);
  EXPECT_EQ(experiment.inputs[0].end, -1);
  EXPECT_EQ(experiment.inputs[1].id, "1");
  EXPECT_EQ(experiment.generation.eos, (TokenIds{1, 2}));
  EXPECT_EQ(experiment.generation.stop, std::vector<std::string>{"end"});
  EXPECT_EQ(experiment.generation.seed, 7u);
  EXPECT_EQ(experiment.attributions[0].method.params.at("n_steps").as_int(), 3);
  EXPECT_EQ(experiment.attributions[1].method.params.at("stride").as_int(), 2);
  EXPECT_EQ(experiment.attributions[1].step_scores.size(), 1u);
  EXPECT_EQ(experiment.outputs[1].file, "{name}.json");
  EXPECT_EQ(experiment.memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(experiment.plugin_paths.front(), "/base/p");
  EXPECT_EQ(experiment.output_dir, "/base/out");

  const Experiment again = parse(to_yaml(resolved(experiment)));
  EXPECT_EQ(to_yaml(resolved(again)), to_yaml(resolved(experiment)));
  EXPECT_EQ(again.inputs, experiment.inputs);
  EXPECT_EQ(again.attributions, experiment.attributions);
  EXPECT_EQ(again.outputs, experiment.outputs);
  EXPECT_EQ(again.weights, "packed");
}

TEST(Experiment, GenerationTakesTheSeedOfTheExperiment) {
  EXPECT_EQ(parse(kSmallest + "seed: 9\ngeneration: {do_sample: true}\n").generation.seed, 9u);
}

TEST(Experiment, NamesPlaceAndNearestKey) {
  EXPECT_EQ(
      error_of(kSmallest + "sead: 1\n"),
      "e.yaml:4:1: unknown key 'sead'; did you mean 'seed'? known: attribute_target, attributions, batch_size, chat, "
      "context, contrast_alignment, contrast_source, contrast_target, evaluation, explain, generation, "
      "include_eos_baseline, inputs, languages, memory, messages, model, name, output_dir, outputs, plugins, seed, "
      "system, threads");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions:\n  - {metod: saliency}\n"),
            "e.yaml:4:6: unknown key 'metod'; did you mean 'method'? known: aggregation, attributed_function, "
            "granularity, method, name, params, step_scores");
  EXPECT_EQ(error_of(kSmallest + "generation: {max_tokens: 3}\n").substr(0, 34), "e.yaml:4:14: unknown key 'max_toke");
}

TEST(Experiment, NamesMissingKeys) {
  EXPECT_EQ(error_of("inputs: a\nattributions: saliency\n"), "e.yaml:1:1: 'model' is missing");
  EXPECT_EQ(error_of("model: m\nattributions: saliency\n"), "e.yaml:1:1: 'inputs' is missing");
  EXPECT_EQ(error_of("model: m\ninputs: a\n"), "e.yaml:1:1: 'attributions' is missing");
  EXPECT_EQ(error_of("model: m\ninputs:\n  - {id: a}\nattributions: saliency\n"), "e.yaml:3:5: 'text' is missing");
  EXPECT_EQ(error_of("- a\n"),
            "e.yaml:1:1: an experiment is a mapping with the keys model, inputs and attributions; found list");
}

TEST(Experiment, NamesWrongTypesAndRanges) {
  EXPECT_EQ(error_of(kSmallest + "batch_size: many\n"), "e.yaml:4:13: expected an integer, found text 'many'");
  EXPECT_EQ(error_of(kSmallest + "batch_size: 0\n"), "e.yaml:4:13: 'batch_size' is 0; expected at least 1");
  EXPECT_EQ(error_of(kSmallest + "generation: {temperature: 0}\n"),
            "e.yaml:4:27: 'temperature' is 0; expected a number above 0");
  EXPECT_EQ(error_of(kSmallest + "generation: {top_p: 1.5}\n"),
            "e.yaml:4:21: 'top_p' is 1.5; expected a number above 0 and at most 1");
  EXPECT_EQ(error_of(kSmallest + "generation: {stop: ['']}\n"),
            "e.yaml:4:21: 'stop_strings' is empty text; expected text that is not empty");
  EXPECT_EQ(error_of(kSmallest + "generation: {stop_strings: a, stop: b}\n"),
            "e.yaml:4:31: 'stop' is short for 'stop_strings', which is given, too; keep one");
  EXPECT_EQ(error_of(kSmallest + "memory: 3 furlongs\n"),
            "e.yaml:4:9: 'memory' is '3 furlongs'; expected bytes, or a number with kB, MB, GB, KiB, MiB or GiB");
  EXPECT_EQ(error_of("model: {path: m, weights: boxed}\ninputs: a\nattributions: saliency\n"),
            "e.yaml:1:27: unknown way to hold weights 'boxed'; known: auto, packed, unpacked");
  EXPECT_EQ(
      error_of("model: {path: m, dtype: mixt}\ninputs: a\nattributions: saliency\n"),
      "e.yaml:1:25: unknown dtype 'mixt'; did you mean 'mixed'? known: bfloat16, float16, float32, float64, mixed");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: {method: saliency, granularity: tokens}\n"),
            "e.yaml:3:47: unknown granularity 'tokens'; did you mean 'token'? known: full, token");
  EXPECT_EQ(error_of("model: m\ninputs: [1]\nattributions: saliency\n"), "e.yaml:2:10: expected text, found integer");
  EXPECT_EQ(error_of("model: m\ninputs: []\nattributions: saliency\n"),
            "e.yaml:2:9: 'inputs' is empty; give at least one text");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: []\n"),
            "e.yaml:3:15: 'attributions' is empty; give at least one method");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: [3]\n"),
            "e.yaml:3:16: expected the name of a method or 'name: {parameter: value}', found integer");
}

TEST(Experiment, RefusesAmbiguity) {
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: [saliency, saliency]\n"),
            "e.yaml:3:26: two attributions are named 'saliency'; give this one another 'name', since it names the "
            "result file");
  EXPECT_EQ(error_of("model: m\ninputs: [{id: x, text: a}, {id: x, text: b}]\nattributions: saliency\n"),
            "e.yaml:2:28: two inputs have the id 'x'; ids name them in results, so each needs its own");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: {method: {occlusion: {stride: 1}}, params: {stride: 2}}\n"),
            "e.yaml:3:58: parameters of method 'occlusion' are given twice; keep one place");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: {method: saliency, step_scores: [entropy, entropy]}\n"),
            "e.yaml:3:57: the step score 'entropy' is listed twice; results hold one under each name");
  EXPECT_EQ(error_of("model: m\ninputs: a\nattributions: {method: saliency, step_scores: {entropy: {}, logit: {}}}\n"),
            "e.yaml:3:47: expected one step function as 'name: {parameter: value}', found a mapping with 2 keys; write "
            "several as a list");
}

TEST(Experiment, RefusesNamesThatLeaveTheRunDirectory) {
  EXPECT_EQ(error_of(kSmallest + "name: ../x\n"),
            "e.yaml:4:7: 'name' is '../x'; it names files, so expected letters, digits, '-', '_' and '.', and no '.' "
            "at the start");
  EXPECT_EQ(error_of(kSmallest + "outputs: [{renderer: json, file: '/etc/{name}'}]\n"),
            "e.yaml:4:34: 'file' is '/etc/name'; it names files, so expected letters, digits, '-', '_' and '.', and no "
            "'.' at the start");
  EXPECT_EQ(error_of(kSmallest + "outputs: [{renderer: json, file: a.json}]\n"),
            "e.yaml:4:34: 'file' is 'a.json'; write {name} where the name of the attribution goes, since every "
            "attribution is rendered");
}

TEST(Experiment, RefusesWhatCannotBeAPath) {
  EXPECT_EQ(error_of(kSmallest + "name: " + std::string(65, 'a') + "\n"),
            "e.yaml:4:7: 'name' has 65 letters; it names files, so expected at most 64");
  EXPECT_EQ(error_of("model: ''\ninputs: a\nattributions: saliency\n"),
            "e.yaml:1:8: the path of the model is empty; name a checkpoint's file or folder");
  EXPECT_EQ(error_of("model: {path: m, dtype: float7}\ninputs: a\nattributions: saliency\n").substr(0, 37),
            "e.yaml:1:25: unknown dtype 'float7'; ");
  EXPECT_EQ(whence::testing::text_of_error([] { load_experiment(""); }),
            "the path of the experiment is empty; name a YAML file");
  // Longer than any file name may be: an ordinary missing file.
  EXPECT_EQ(find_model(std::string(300, 'm'), "/base"), "/base/" + std::string(300, 'm'));
}

TEST(Experiment, PluginFoldersExist) {
  const TemporaryFolder folder;
  const auto file = folder.write("e.yaml", kSmallest + "plugins: {paths: [none]}\n");
  EXPECT_EQ(
      whence::testing::text_of_error([&] { load_experiment(file); }),
      file.string() + ":4:19: " + (folder.path() / "none").string() + ": no such plugin folder; correct plugins.paths");
}

TEST(Experiment, IdsGivenTwiceInAFileAreAnInputError) {
  const TemporaryFolder folder;
  const auto texts = folder.write("t.jsonl", R"({"text": "a", "id": "x"})"
                                             "\n"
                                             R"({"text": "b", "id": "x"})");
  const auto file = folder.write("e.yaml", "model: m\ninputs: {file: t.jsonl}\nattributions: saliency\n");
  EXPECT_THROW(load_experiment(file), InputError);
  EXPECT_EQ(whence::testing::text_of_error([&] { load_experiment(file); }),
            texts.string() + ":2: two inputs have the id 'x'; ids name them in results, so each needs its own");
}

TEST(Experiment, TakesItsNameFromItsFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(load_experiment(folder.write("first.yaml", kSmallest)).name, "first");
  EXPECT_EQ(load_experiment(folder.write("second.yaml", kSmallest + "name: given\n")).name, "given");
}

TEST(Experiment, FindsModels) {
  const TemporaryFolder folder;
  folder.write("models/small.gguf", "");
  EXPECT_EQ(find_model("models/small.gguf", folder.path()), (folder.path() / "models/small.gguf").string());
  EXPECT_EQ(find_model("small.gguf", folder.path()), (folder.path() / "small.gguf").string());
  setenv("WHENCE_MODELS", ("/nowhere:" + (folder.path() / "models").string()).c_str(), 1);
  EXPECT_EQ(find_model("small.gguf", folder.path()), (folder.path() / "models/small.gguf").string());
  unsetenv("WHENCE_MODELS");
  setenv("HOME", folder.path().c_str(), 1);
  EXPECT_EQ(find_model("~/models/small.gguf", "/elsewhere"), (folder.path() / "models/small.gguf").string());
}

}  // namespace
}  // namespace whence::host
