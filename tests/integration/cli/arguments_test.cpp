// The command line itself: commands, options, help. Nothing here loads a model.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

const std::string kSee = " see whence attribute --help";

TEST(Arguments, HelpListsEveryCommand) {
  const Outcome help = whence_tool({});
  EXPECT_EQ(help.status, 0);
  for (const char* command : {"attribute", "run", "view", "list", "describe", "validate", "reproduce", "doctor"}) {
    EXPECT_NE(help.out.find("\n  " + std::string(command) + " "), std::string::npos) << command;
    const Outcome own = whence_tool({command, "--help"});
    EXPECT_EQ(own.status, 0);
    EXPECT_TRUE(own.out.starts_with("usage: whence " + std::string(command))) << own.out;
  }
  EXPECT_EQ(whence_tool({"--help"}).out, help.out);
  EXPECT_EQ(whence_tool({"attribute", "-h"}).status, 0);
}

TEST(Arguments, PrintsItsVersion) {
  const Outcome version = whence_tool({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(version.out.starts_with("whence 0."));
}

TEST(Arguments, NamesTheNearestCommandAndOption) {
  expect_error(whence_tool({"atribute"}), 2,
               "unknown command 'atribute'; did you mean 'attribute'? known: attribute, attribute-context, compare, "
               "describe, doctor, evaluate, list, reproduce, run, serve, validate, view");
  expect_error(whence_tool({"attribute", "--step_score_", "x"}), 2,
               "unknown option '--step-score-'; did you mean '--step-scores'?" + kSee);
  expect_error(whence_tool({"attribute", "--zzz"}), 2, "unknown option '--zzz';" + kSee);
  expect_error(whence_tool({"attribute", "-q"}), 2, "unknown option '-q';" + kSee);
}

TEST(Arguments, RefusesOptionsOfOtherToolsThatAreNotHere) {
  EXPECT_EQ(whence_tool({"attribute", "--viz_path", "x"}).status, 2);
}

TEST(Arguments, RefusesAmbiguousPrefixesAndMissingValues) {
  expect_error(whence_tool({"attribute", "--model", "x"}), 2,
               "option '--model' is ambiguous between --model-name-or-path, --model-kwargs; write more of its name");
  const Outcome missing = whence_tool({"attribute", "-m"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_NE(missing.err.find("model-name-or-path"), std::string::npos);
}

TEST(Arguments, ChecksValues) {
  expect_error(whence_tool({"attribute", "--hide=maybe"}), 2, "--hide-attributions: 'maybe' is neither yes nor no");
  expect_error(whence_tool({"attribute", "--hide", "maybe"}), 2, "--hide-attributions: 'maybe' is neither yes nor no");
  expect_error(whence_tool({"attribute", "-m", "m", "-i", "a", "-bs", "x"}), 2, "--batch-size: 'x' is no integer");
  expect_error(whence_tool({"attribute", "-m", "m", "-i", "a", "-bs", "0"}), 2,
               "--batch-size: 0 texts make no batch; expected at least 1");
  expect_error(whence_tool({"attribute", "-m", "m", "-i", "a", "--dev", "cuda"}), 2,
               "--device: unknown device 'cuda'; known: cpu");
  expect_error(whence_tool({"attribute", "extra"}), 2, "unexpected argument 'extra'");
  expect_error(
      whence_tool({"list", "methd"}), 2,
      "unknown plugin kind 'methd'; did you mean 'method'? known: aggregator, method, metric, model, renderer, "
      "step_function");
  expect_error(whence_tool({"view"}), 2, "the result file is missing");
}

TEST(Arguments, ChecksTheOptionsOfEveryCommandInEveryCommand) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"list"}, {"describe", "saliency"}, {"view", "none.json"}, {"validate", "none.yaml"}}) {
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), command.begin(), command.end());
      return whence_tool(more);
    };
    expect_error(with({"--threads", "abc"}), 2, "--threads: 'abc' is no integer");
    expect_error(with({"--threads", "-1"}), 2, "--threads: -1 is not between 0 and 4096");
    expect_error(with({"--threads", "99999"}), 2, "--threads: 99999 is not between 0 and 4096");
    expect_error(with({"--color", "mauve"}), 2, "unknown value of --color 'mauve'; known: always, auto, never");
  }
}

TEST(Arguments, NamesWhatIsMissing) {
  expect_error(whence_tool({"attribute", "-i", "a"}), 2,
               "--model-name-or-path: no model is given; name a GGUF file or the folder of a checkpoint");
  expect_error(whence_tool({"attribute", "-m", "m"}), 2,
               "--input-texts: no text to attribute; give at least one, or - to read lines from standard input");
  expect_error(whence_tool({"attribute", "-m", "m", "-i", "a", "b", "-g", "a c"}), 2,
               "--generated-texts: 1 text(s) for 2 of --input-texts; give one for each");
}

TEST(Arguments, ChecksKwargs) {
  const auto with = [](const std::string& option, const std::string& json) {
    return whence_tool({"attribute", "-m", "m", "-i", "a", "-a", "integrated_gradients", option, json});
  };
  expect_error(with("--attribution_kwargs", "[1]"), 2, "--attribution-kwargs: expected a JSON object, found list");
  EXPECT_EQ(with("--attribution_kwargs", "{a}").status, 2);
  expect_error(with("--attribution_kwargs", "{\"n_stepz\": 2}"), 2,
               "--attribution-kwargs: unknown parameter of the chosen method and step functions 'n_stepz'; did you "
               "mean 'n_steps'? known: attribute_to_layer_input, compat, logprob, max_nodes, method, "
               "multiply_by_inputs, n_steps, return_convergence_delta, target_layer, tolerance");
  expect_error(with("--attribution_kwargs", "{\"n_steps\": \"x\"}"), 2,
               "--attribution-kwargs: parameter 'n_steps' of method 'integrated_gradients': expected an integer, found "
               "text 'x'");
  expect_error(with("--attribution_kwargs", "{\"n_steps\": 20, \"n_steps\": 30}"), 2,
               "--attribution-kwargs: key 'n_steps' is given twice; keep one");
  expect_error(with("--model_kwargs", "{\"attn_implementation\": \"sdpa\"}"), 2,
               "--model-kwargs: unknown attention implementation 'sdpa'; known: eager");
  expect_error(with("--generation_kwargs", "{\"num_beams\": 0}"), 2,
               "--generation-kwargs: 'num_beams' is 0; expected 1 to 1024");
  EXPECT_NE(with("--generation_kwargs", "{\"num_bean\": 4}")
                .err.find("--generation-kwargs: unknown key 'num_bean'; did you mean 'num_beams'? known: bad_words, "),
            std::string::npos);
  EXPECT_EQ(with("--generation_kwargs", "{\"max_new_token\": 2}").status, 2);
  EXPECT_EQ(with("--model_kwargs", "{\"trust_remote_code\": true}").status, 2);
  EXPECT_EQ(with("--tokenizer_kwargs", "{\"target_language\": \"fr\"}").status, 2);
}

TEST(Arguments, NamesUnknownPlugins) {
  const auto expect_unknown = [](const std::vector<std::string>& words, const std::string& text) {
    std::vector<std::string> all{"attribute", "-m", "m", "-i", "a"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = whence_tool(all);
    EXPECT_EQ(outcome.status, 2);
    // After this comes the list of all that are installed.
    EXPECT_TRUE(outcome.err.starts_with("whence: error: " + text + "? known: ")) << outcome.err;
  };
  expect_unknown({"-a", "salency"}, "--attribution-method: unknown method 'salency'; did you mean 'saliency'");
  expect_unknown({"-fn", "probabilty"},
                 "--attributed-fn: unknown step_function 'probabilty'; did you mean 'probability'");
  expect_unknown({"--step_scores", "entropy", "entropi"},
                 "--step-scores: unknown step_function 'entropi'; did you mean 'entropy'");
  expect_unknown({"--attribution_aggregators", "men"},
                 "--attribution-aggregators: unknown aggregator 'men'; did you mean 'mean'");
}

}  // namespace
