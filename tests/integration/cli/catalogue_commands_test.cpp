// list, describe and validate.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

std::string experiment_with(const std::string& attribution) {
  return "model: " + kTinyModel + "\ninputs: It was\nattributions: " + attribution + "\n";
}

TEST(List, ShowsEveryKindOrOne) {
  const Outcome all = whence_tool({"list"});
  EXPECT_EQ(all.status, 0);
  for (const char* kind :
       {"model\n", "\nmethod\n", "\nstep_function\n", "\naggregator\n", "\nrenderer\n", "\nmetric\n"})
    EXPECT_NE(all.out.find(kind), std::string::npos) << kind;
  const Outcome methods = whence_tool({"list", "method"});
  EXPECT_EQ(methods.out.find("renderer"), std::string::npos);
  EXPECT_NE(methods.out.find("  saliency "), std::string::npos);
  const auto json = nlohmann::json::parse(whence_tool({"list", "--json"}).out);
  EXPECT_TRUE(std::any_of(json.begin(), json.end(), [](const auto& plugin) {
    return plugin.at("name") == "saliency" && plugin.at("problem") == "";
  }));
}

TEST(List, ShowsWhatIsBrokenBesideWhatIsNot) {
  const TemporaryFolder folder;
  folder.write("method.lonely.wplugin", "no library");
  const Outcome all = whence_tool({"list", "--plugin-path", folder.path().string()});
  EXPECT_EQ(all.status, 0);
  EXPECT_NE(all.out.find("method.lonely.wplugin: no manifest beside it"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find("  saliency "), std::string::npos);
}

TEST(Describe, ShowsParameters) {
  const Outcome method = whence_tool({"describe", "integrated_gradients"});
  EXPECT_EQ(method.status, 0);
  EXPECT_NE(method.out.find("  n_steps: int, default 50, at least 1, at most 10000\n"), std::string::npos)
      << method.out;
  EXPECT_EQ(whence_tool({"describe", "method", "integrated_gradients"}).out, method.out);
  EXPECT_EQ(nlohmann::json::parse(whence_tool({"describe", "vnorm", "--json"}).out).at("name"), "scores");
  const Outcome preset = whence_tool({"describe", "vnorm"});
  EXPECT_NE(preset.out.find("\n  vnorm: {function: vnorm}\n      Vector norm over the dimension\n"), std::string::npos)
      << preset.out;
  const Outcome unknown = whence_tool({"describe", "salency"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_TRUE(unknown.err.starts_with("whence: error: unknown plugin 'salency'; did you mean 'saliency'? known: "))
      << unknown.err;
}

TEST(Describe, ShowsWhatAMethodCosts) {
  const Outcome shown = whence_tool({"describe", "saliency"});
  EXPECT_NE(shown.out.find("cost:\n  1 forward, T backward steps\n"
                           "  for one text of which rows tokens come before the last of steps explained ones:\n"
                           "    forward rows = rows\n    backward rows = read\n"
                           "    where read = steps * rows - steps * (steps - 1) / 2\n"),
            std::string::npos)
      << shown.out;
  const auto json = nlohmann::json::parse(whence_tool({"describe", "saliency", "--json"}).out);
  EXPECT_EQ(json.at("plugin").at("cost").at("forward_rows"), "rows");
}

TEST(Describe, ShowsTheProblemOfABrokenPlugin) {
  const TemporaryFolder folder;
  folder.write("method.saliency.wplugin", "no library");
  const Outcome shown = whence_tool({"describe", "saliency", "--plugin-path", folder.path().string()});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_TRUE(shown.out.starts_with("method saliency\nproblem:\n  ")) << shown.out;
  EXPECT_NE(shown.out.find("no manifest beside it"), std::string::npos) << shown.out;
}

TEST(Validate, ChecksNamesAndParametersWithoutRunning) {
  const TemporaryFolder folder;
  const std::string fine =
      folder.write("fine.yaml", experiment_with("{method: {integrated_gradients: {n_steps: 2}}}")).string();
  EXPECT_EQ(whence_tool({"validate", fine}).out, fine + ": ok\n");
  const std::string key = folder.write("key.yaml", experiment_with("saliency") + "sead: 1\n").string();
  const std::string type =
      folder.write("type.yaml", experiment_with("{method: {integrated_gradients: {n_steps: x}}}")).string();
  const std::string plugin = folder.write("plugin.yaml", experiment_with("salency")).string();
  const Outcome bad = whence_tool({"validate", fine, key, type, plugin});
  EXPECT_EQ(bad.status, 2);
  EXPECT_NE(bad.out.find(key + ":4:1: unknown key 'sead'; did you mean 'seed'?"), std::string::npos) << bad.out;
  EXPECT_NE(
      bad.out.find(type +
                   ":3:57: parameter 'n_steps' of method 'integrated_gradients': expected an integer, found text 'x'"),
      std::string::npos)
      << bad.out;
  EXPECT_NE(bad.out.find(plugin + ":3:15: unknown method 'salency'; did you mean 'saliency'?"), std::string::npos)
      << bad.out;
  EXPECT_EQ(nlohmann::json::parse(whence_tool({"validate", "--json", fine, key}).out).size(), 2u);
  const std::string model =
      folder.write("model.yaml", "model: none.gguf\ninputs: a\nattributions: saliency\n").string();
  EXPECT_EQ(whence_tool({"validate", model}).status, 4);
}

}  // namespace
