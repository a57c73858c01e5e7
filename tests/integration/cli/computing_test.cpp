// What `attribute`, `run` and `reproduce` compute with: plans, statistics, memory, threads, granularity.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> attribute(const std::vector<std::string>& more) {
  std::vector<std::string> words{
      "attribute", "-m", kTinyModel, "-i", "The nurse told the", "-g", "The nurse told the doctor", "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json parsed(const Outcome& outcome) {
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return json::parse(outcome.out);
}

std::string experiment(const TemporaryFolder& folder, const std::string& attributions) {
  return folder
      .write("e.yaml", "model: " + kTinyModel + "\ninputs: {text: The nurse told the, generated: The nurse told the " +
                           "doctor}\nattributions: " + attributions + "\noutput_dir: out\n")
      .string();
}

/// The method that has no plan.
constexpr std::string_view kOpenEnded = "reagent";

TEST(Refusals, ComeBeforeTextsAreGeneratedAndBeforePlans) {
  const std::string experts = WHENCE_TEST_DATA "/models/architectures/mixtral";
  const std::string no_slope =
      "backward rule deeplift of activation: tokens of the model choose among experts, and a reference may choose "
      "others, so that there is no slope between them; use the rule gradient";
  const std::vector<std::vector<std::string>> refused{
      {"-m", experts, "-i", "w5 w7", "-a", "deeplift"},
      {"-m", kTinyModel, "-i", "The nurse", "--attribution-kwargs", "{\"target_layer\": 9}"},
      {"-m", kTinyModel, "-i", "The nurse", "--step-scores", "mc_dropout_prob_avg"}};
  for (std::vector<std::string> words : refused) {
    words.insert(words.begin(), "attribute");
    const Outcome made = whence_tool(words);
    EXPECT_EQ(made.status, 2) << made.err;
    EXPECT_EQ(made.err.find("generating"), std::string::npos) << made.err;
    EXPECT_EQ(made.out, "");
  }
  const Outcome plan =
      whence_tool({"attribute", "-m", experts, "-i", "w5 w7", "-g", "w5 w7 w9", "-a", "deeplift", "--plan"});
  EXPECT_EQ(plan.status, 2);
  EXPECT_NE(plan.err.find(no_slope), std::string::npos) << plan.err;

  const TemporaryFolder folder;
  const std::string file = folder
                               .write("e.yaml", "model: " + experts +
                                                    "\ninputs: {text: w5 w7, generated: w5 w7 w9}\nattributions: "
                                                    "[integrated_gradients, deeplift]\noutput_dir: out\n")
                               .string();
  const Outcome run = whence_tool({"run", file});
  EXPECT_EQ(run.status, 2);
  EXPECT_NE(run.err.find(no_slope), std::string::npos) << run.err;
  EXPECT_EQ(run.err.find("integrated_gradients:"), std::string::npos) << "work was done before: " << run.err;
}

TEST(Plan, IsWhatIsDoneForEveryMethod) {
  const TemporaryFolder folder;
  std::string methods;
  for (const auto& plugin : parsed(whence_tool({"list", "method", "--json"})))
    if (const auto name = plugin.at("name").get<std::string>(); name != kOpenEnded)
      methods += (methods.empty() ? "" : ", ") + name;
  const std::string file = experiment(folder, "[" + methods + "]");
  const json plan = parsed(whence_tool({"run", file, "--plan", "--json"}));
  EXPECT_FALSE(fs::exists(folder.path() / "out")) << "a plan makes nothing";
  const json stats = parsed(whence_tool({"run", file, "--stats", "--json"})).at("stats");
  ASSERT_EQ(plan.at("attributions").size(), stats.at("attributions").size());
  for (std::size_t i = 0; i < plan.at("attributions").size(); ++i) {
    const json &planned = plan.at("attributions")[i], &done = stats.at("attributions")[i];
    for (const char* key : {"name", "forward_passes", "forward_rows", "head_rows", "backward_passes", "backward_rows"})
      EXPECT_EQ(planned.at(key), done.at(key)) << planned.at("name") << ": " << key;
    EXPECT_GT(done.at("forward_rows"), 0);
    EXPECT_EQ(planned.at("at_most"), false);
  }
  EXPECT_EQ(plan.at("model"), stats.at("model"));
  // A stored run tells what it took when it was made.
  const json again = parsed(whence_tool({"run", file, "--stats", "--json"}));
  EXPECT_EQ(again.at("reused"), true);
  EXPECT_EQ(again.at("stats").at("attributions"), stats.at("attributions"));
  EXPECT_FALSE(again.at("stats").contains("process"));
}

TEST(Plan, IsRefusedWhereAnswersOfTheModelTellWhenToStop) {
  const TemporaryFolder folder;
  const Outcome plan = whence_tool({"run", experiment(folder, "[" + std::string(kOpenEnded) + "]"), "--plan"});
  EXPECT_EQ(plan.status, 2);
  EXPECT_TRUE(
      plan.err.ends_with("method 'reagent': goes on until the model's answers tell it to stop, so what it takes "
                         "cannot be planned; run it with --stats\n"))
      << plan.err;
}

TEST(Plan, KnowsTheBytesOfARealModel) {
  const TemporaryFolder folder;
  const std::string file =
      folder
          .write(
              "e.yaml",
              "model: " WHENCE_MODELS_DIR
              "/SmolLM2-135M-Instruct.Q4_1.gguf\n"
              "inputs: {text: The history of the city begins with a small settlement on the river where traders met, "
              "generated: The history of the city begins with a small settlement on the river where traders met "
              "farmers from the hills and sold them salt and iron}\n"
              "attributions:\n"
              "  - {name: first, method: input_x_gradient}\n"
              "  - saliency\n"
              "  - {name: full, method: saliency, granularity: full}\n"
              "  - {method: integrated_gradients, params: {n_steps: 3}}\n"
              "  - {name: summed, method: {integrated_gradients: {n_steps: 3}}, aggregation: sum}\n"
              "  - {method: sequential_integrated_gradients, aggregation: sum}\n"
              "  - occlusion\n  - attention\n  - value_zeroing\noutput_dir: out\n")
          .string();
  const json plan = parsed(whence_tool({"run", file, "--plan", "--json"}));
  const json stats = parsed(whence_tool({"run", file, "--stats", "--json"})).at("stats");
  ASSERT_EQ(plan.at("attributions").size(), 9u);
  // Beside the first, weights are unpacked.
  for (std::size_t i = 1; i < 9; ++i) {
    const double planned = plan.at("attributions")[i].at("tensor_bytes");
    const double done = stats.at("attributions")[i].at("tensor_bytes");
    EXPECT_NEAR(planned / done, 1, 0.25) << plan.at("attributions")[i].at("name") << ": " << planned << ", " << done;
  }
}

TEST(Plan, IsOneLineForEachAttribution) {
  const Outcome plan = whence_tool(attribute({"--plan"}));
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_EQ(plan.err, "");
  EXPECT_TRUE(
      plan.out.starts_with("saliency: 1 forward pass (12 rows, 5 through the head), 1 backward pass (50 rows), "
                           "tensors at most "))
      << plan.out;
  EXPECT_NE(plan.out.find("\nweights: "), std::string::npos) << plan.out;
}

TEST(Plan, SaysWhenLessMayBeDone) {
  const Outcome plan =
      whence_tool(attribute({"--plan", "-a", "integrated_gradients", "--attribution_kwargs",
                             R"({"tolerance": 0.1, "method": "trapezoid", "n_steps": 3, "max_nodes": 9})"}));
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_NE(plan.out.find("; less where steps reach the tolerance early\n"), std::string::npos) << plan.out;
}

TEST(Plan, FindsWhatWouldFail) {
  EXPECT_EQ(whence_tool(attribute({"--plan", "-e", "99"})).status, 5);
  EXPECT_EQ(whence_tool(attribute({"--plan", "-a", "salency"})).status, 2);
  EXPECT_EQ(whence_tool(attribute({"--plan", "--memory", "1kB"})).status, 2);
}

TEST(Stats, StandOnStandardError) {
  const Outcome made = whence_tool(attribute({"--stats", "--json"}));
  const json result = parsed(made);
  EXPECT_TRUE(
      made.err.starts_with("saliency: 1 forward pass (12 rows, 5 through the head), 1 backward pass (50 rows), "
                           "tensors at most "))
      << made.err;
  EXPECT_NE(made.err.find(" s\nweights: "), std::string::npos) << made.err;
  EXPECT_NE(made.err.find("\nprocess: "), std::string::npos) << made.err;
  EXPECT_EQ(result.at("attributes").at("info").at("cost").at("backward_rows"), 50);
}

TEST(Memory, TooLittleSaysWhatWorks) {
  const Outcome refused = whence_tool(attribute({"--memory", "1kB"}));
  EXPECT_EQ(refused.status, 2);
  EXPECT_TRUE(refused.err.starts_with("whence: error: memory: the budget of 1000 bytes does not hold ")) << refused.err;
  const std::string mend = "; the least that works is ";
  const std::size_t at = refused.err.find(mend);
  ASSERT_NE(at, std::string::npos) << refused.err;
  const std::string least = refused.err.substr(at + mend.size(), refused.err.find('\n') - at - mend.size());
  const json tight = parsed(whence_tool(attribute({"--memory", least, "--json"})));
  const json roomy = parsed(whence_tool(attribute({"--json"})));
  EXPECT_EQ(tight.at("attributes").at("sequence_attributions"), roomy.at("attributes").at("sequence_attributions"));
  EXPECT_GT(tight.at("attributes").at("info").at("cost").at("backward_passes"), 1);
  expect_error(
      whence_tool(attribute({"--memory", std::to_string(std::stoll(least) - 1)})), 2,
      "memory: the budget of " + std::to_string(std::stoll(least) - 1) +
          refused.err.substr(std::string("whence: error: memory: the budget of 1000").size(),
                             refused.err.size() - 1 - std::string("whence: error: memory: the budget of 1000").size()));
}

TEST(Memory, IsReadAndChecked) {
  expect_error(whence_tool(attribute({"--memory", "lots"})), 2,
               "--memory: 'memory' is 'lots'; expected bytes, or a number with kB, MB, GB, KiB, MiB or GiB");
  expect_error(
      whence_tool(attribute({"--dtype", "mixt"})), 2,
      "--dtype: unknown dtype 'mixt'; did you mean 'mixed'? known: bfloat16, float16, float32, float64, mixed");
  expect_error(whence_tool(attribute({"--weights", "boxed"})), 2,
               "--weights: unknown way to hold weights 'boxed'; known: auto, packed, unpacked");
  expect_error(whence_tool(attribute({"--granularity", "tokens"})), 2,
               "--granularity: unknown granularity 'tokens'; did you mean 'token'? known: full, token");
  const Outcome dtype = whence_tool(attribute({"--dtype", "float64"}));
  EXPECT_EQ(dtype.status, 4) << dtype.err;
  EXPECT_NE(dtype.err.find("float64"), std::string::npos) << dtype.err;
}

TEST(Memory, OfARunAndOfReproducingIt) {
  const TemporaryFolder folder;
  const std::string file = experiment(folder, "saliency");
  EXPECT_EQ(whence_tool({"run", file, "--memory", "1kB"}).status, 2);
  EXPECT_FALSE(fs::exists(folder.path() / "out")) << "nothing is left of what failed";
  ASSERT_EQ(whence_tool({"run", file, "--memory", "1GiB", "--weights", "packed"}).status, 0);
  const fs::path run = *fs::directory_iterator(folder.path() / "out");
  EXPECT_EQ(whence_tool({"reproduce", run.string(), "--memory", "1 GiB"}).status, 0);
  EXPECT_EQ(whence_tool({"reproduce", run.string(), "--memory", "1"}).status, 2);
  std::ifstream stored(run / "experiment.yaml");
  const std::string text(std::istreambuf_iterator<char>(stored), {});
  EXPECT_NE(text.find("weights: packed"), std::string::npos) << text;
  EXPECT_NE(text.find("memory: 1073741824"), std::string::npos) << text;
}

TEST(Threads, AreAsManyAsAskedFor) {
  const TemporaryFolder folder;
  const json one = parsed(whence_tool(
      {"run", experiment(folder, "integrated_gradients"), "--threads", "1", "--stats", "--json", "--quiet"}));
  EXPECT_EQ(one.at("stats").at("process").at("threads"), 1);
}

TEST(GranularityOption, DecidesWhatIsSavedAndNothingOfWhatIsShown) {
  const TemporaryFolder folder;
  const std::string token = (folder.path() / "token.json").string(), full = (folder.path() / "full.json").string();
  const Outcome of_token = whence_tool(attribute({"-o", token}));
  const Outcome of_full = whence_tool(attribute({"--granularity", "full", "-o", full}));
  EXPECT_EQ(of_token.status, 0) << of_token.err;
  EXPECT_EQ(of_token.out, of_full.out);
  EXPECT_EQ(whence_tool({"view", token}).out, of_token.out);
  EXPECT_EQ(whence_tool({"view", full}).out, of_token.out);
  EXPECT_EQ(whence_tool({"view", token, "--aggregators", "vnorm"}).out, of_token.out);
  const auto class_of = [](const std::string& file) {
    return json::parse(std::ifstream(file)).at("attributes").at("sequence_attributions")[0].at("__instance_type__")[1];
  };
  EXPECT_EQ(class_of(token), "CoarseFeatureAttributionSequenceOutput");
  EXPECT_EQ(class_of(full), "GranularFeatureAttributionSequenceOutput");
  expect_error(whence_tool({"view", token, "--aggregators", "mean"}), 2,
               "--aggregators: aggregator 'mean': takes the mean over hidden units, but this result has already their "
               "vnorm of order 2; attribute again with it, or with granularity full");
}

TEST(GranularityOption, OfARunIsReproduced) {
  const TemporaryFolder folder;
  const std::string file = experiment(
      folder, "[{method: saliency, aggregation: [sum, subwords]}, {name: whole, method: saliency, granularity: full}]");
  const Outcome made = whence_tool({"run", file});
  ASSERT_EQ(made.status, 0) << made.err;
  const Outcome again = whence_tool({"reproduce", (*fs::directory_iterator(folder.path() / "out")).path().string()});
  EXPECT_EQ(again.status, 0) << again.out << again.err;
}

}  // namespace
