// `compare` and `evaluate` on the tiny model.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json parsed(const Outcome& outcome) {
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return json::parse(outcome.out);
}

class SideBySide : public ::testing::Test {
 protected:
  const TemporaryFolder folder;

  std::string experiment(const std::string& more = "") const {
    return folder
        .write("e.yaml",
               "model: " + kTinyModel +
                   "\ninputs: {text: The nurse told the, generated: The nurse told the doctor}\n"
                   "attributions: [{name: loo, method: leave_one_out}, {name: signed, method: input_x_gradient, "
                   "aggregation: [sum]}, attention]\noutput_dir: out\n" +
                   more)
        .string();
  }
  fs::path run(const std::string& more = "") const {
    const json made = parsed(whence_tool({"run", experiment(more), "--json", "--quiet"}));
    return made.at("directory").get<std::string>();
  }
  static json find(const json& summary, const std::string& metric, const std::string& method) {
    for (const json& entry : summary)
      if (entry.at("metric") == metric && entry.at("method") == method) return entry.at("value");
    return {};
  }
};

TEST_F(SideBySide, CompareReadsTheFolderOfARun) {
  const fs::path directory = run();
  const json compared = parsed(whence_tool({"compare", directory.string(), "--json", "--top", "2"}));
  ASSERT_EQ(compared.at("agreement").size(), 3u);
  EXPECT_EQ(compared.at("agreement")[0].at("first"), "loo");
  EXPECT_EQ(compared.at("agreement")[2].at("second"), "attention");
  EXPECT_EQ(compared.at("agreement")[0].at("spearman").at("steps"), compared.at("steps"));
  ASSERT_EQ(compared.at("cost").size(), 3u);
  EXPECT_EQ(compared.at("cost")[0].at("name"), "loo");
  EXPECT_GT(compared.at("cost")[0].at("forward_rows"), 0);
  // Files say the same, and a method agrees with itself.
  const std::string loo = (directory / "results/loo.json").string();
  const fs::path copy = folder.path() / "again.json";
  fs::copy_file(loo, copy);
  const json itself = parsed(whence_tool({"compare", loo, copy.string(), "--json"}));
  for (const char* column : {"spearman", "kendall_tau_b", "pearson", "cosine", "top_overlap"})
    EXPECT_NEAR(itself.at("agreement")[0].at(column).at("mean").get<double>(), 1, 1e-9) << column;
  const Outcome table = whence_tool({"compare", directory.string()});
  EXPECT_NE(table.out.find("loo, signed"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("\ncost\nloo: "), std::string::npos) << table.out;
}

TEST_F(SideBySide, CompareRefusesWhatIsNotSideBySide) {
  const std::string file = (run() / "results/loo.json").string();
  expect_error(whence_tool({"compare", file}), 2,
               "'loo' is the only attribution; expected two or more, in files or in the folder of a run");
  expect_error(whence_tool({"compare", file, file}), 2, "'" + file + "' is given twice; name each result once");
  expect_error(whence_tool({"compare", file, file, "--top", "0"}), 2, "--top: 0 tokens; expected at least 1");
  expect_error(
      whence_tool({"compare", folder.path().string()}), 5,
      folder.path().string() +
          ": is no run directory; expected one that 'whence run' made, with experiment.yaml, or a result file");
  const std::string other = (folder.path() / "other.json").string();
  EXPECT_EQ(whence_tool({"attribute", "-m", kTinyModel, "-i", "The nurse", "-g", "The nurse told", "-o", other,
                         "--quiet", "--hide-attributions"})
                .status,
            0);
  const Outcome outcome = whence_tool({"compare", file, other});
  EXPECT_EQ(outcome.status, 5);
  EXPECT_TRUE(
      outcome.err.starts_with("whence: error: 'other' and 'loo' do not explain the same steps: text 0, target token "))
      << outcome.err;
}

TEST_F(SideBySide, EvaluateKeepsARowForEveryStepMetricAndMethod) {
  const std::string file = experiment(
      "evaluation: {metrics: [comprehensiveness, lds, loo_correlation], removals: [baseline, mask], "
      "random_draws: 3, resamples: 50}\n");
  const json evaluated = parsed(whence_tool({"evaluate", file, "--json"}));
  EXPECT_EQ(evaluated.at("removals"), (json{"baseline", "mask"}));
  EXPECT_NEAR(find(evaluated.at("summary"), "loo_correlation", "loo").at("mean").get<double>(), 1, 1e-6);
  // Seven rows for each of four measures and two removals.
  EXPECT_EQ(evaluated.at("summary").size(), 56u);
  EXPECT_FALSE(evaluated.contains("rows"));
  const fs::path directory = (*fs::directory_iterator(folder.path() / "out")).path();
  const json stored = json::parse(std::ifstream(directory / "evaluation.json"));
  EXPECT_EQ(stored.at("summary"), evaluated.at("summary"));
  EXPECT_EQ(stored.at("rows").size(), 56u * evaluated.at("steps").get<std::size_t>());
  // The same from the folder, and from files with the model; the run itself is still whole.
  EXPECT_EQ(parsed(whence_tool({"evaluate", directory.string(), "--json"})).at("summary"), evaluated.at("summary"));
  const Outcome of_files = whence_tool({"evaluate", (directory / "results/loo.json").string(),
                                        (directory / "results/attention.json").string(), "-m", kTinyModel, "--metrics",
                                        "lds", "--random-draws", "1", "--json"});
  EXPECT_FALSE(find(parsed(of_files).at("summary"), "lds", "loo").at("mean").is_null());
  EXPECT_EQ(whence_tool({"reproduce", directory.string()}).status, 0);
}

TEST_F(SideBySide, EvaluateShowsATableWithBaselines) {
  const Outcome outcome =
      whence_tool({"evaluate", experiment(), "--metrics", "aopc: {ratios: [0.5], scales: [score]}", "--removals",
                   "zero", "token: a", "--random-draws", "2", "--resamples", "20", "--quiet"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const char* text :
       {"evaluated on probability: ", "removal: zero, higher is better\ncomprehensiveness (score)",
        "removal: token a, ", "\n  random ", "\n  recency ", "\n  primacy ", "\n  uniform ", "\n  loo "})
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
}

TEST_F(SideBySide, ValidateChecksTheEvaluation) {
  const std::string file = experiment("evaluation: {metrics: [lds: {ablation: 3}]}\n");
  const Outcome outcome = whence_tool({"validate", file});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.out.find(": unknown parameter of metric 'lds' 'ablation'; did you mean 'ablations'?"),
            std::string::npos)
      << outcome.out;
}

TEST_F(SideBySide, EvaluateRefusesWhatDoesNotFit) {
  const fs::path directory = run();
  const std::string file = (directory / "results/loo.json").string();
  expect_error(whence_tool({"evaluate", file}), 2,
               "--model: no model is given; a result file does not say where the model lies that made it");
  expect_error(whence_tool({"evaluate", directory.string(), "--metrics", "lsd"}), 2,
               "--metrics: unknown metric 'lsd'; did you mean 'lds'? known: aopc, completeness_gap, comprehensiveness, "
               "infidelity, lds, loo_correlation, perturbation_curve, sensitivity, soft_aopc, soft_comprehensiveness, "
               "soft_sufficiency, sufficiency");
  expect_error(whence_tool({"evaluate", directory.string(), "--removals", "remove"}), 2,
               "--removals: unknown removal 'remove'; known: baseline, delete, mask, mean, token, zero");
  expect_error(whence_tool({"evaluate", directory.string(), "--random-draws", "0"}), 2,
               "--random-draws: 'random_draws' is 0; expected at least 1");
  expect_error(whence_tool({"evaluate", experiment(), file}), 2,
               "'" + file + "': an experiment is evaluated alone; name results or runs to join them");
  expect_error(whence_tool({"evaluate", directory.string(), "--aggregators", "none", "--metrics", "lds", "--quiet"}), 2,
               "attribution 'attention': still has the dimension 'head', expected one number for each token and step; "
               "choose aggregators that reduce it");
}

}  // namespace
