#include "host/manifest.h"

#include <gtest/gtest.h>

#include "host/manifests.h"

namespace whence::host {
namespace {

using whence::testing::add_plugin;
using whence::testing::manifest_text;

class Manifest : public ::testing::Test {
 protected:
  /// The problem of a manifest with one change, without the path of the manifest it starts with.
  std::string problem(const std::string& from, const std::string& to) const {
    const auto path = add_plugin(folder, "m");
    std::string text = manifest_text("m");
    text.replace(text.find(from), from.size(), to);
    folder.write("method.m.manifest.yaml", text);
    return without_place(read_manifest(path).problem, path);
  }
  /// The same for more of plugin.yaml.
  std::string declared(const std::string& declaration) const {
    const auto path = add_plugin(folder, "m", declaration);
    return without_place(read_manifest(path).problem, path);
  }
  static std::string without_place(const std::string& problem, const std::filesystem::path& path) {
    return problem.starts_with(path.string()) ? problem.substr(path.string().size()) : problem;
  }

  whence::testing::TemporaryFolder folder;
};

TEST_F(Manifest, IsReadWhole) {
  const auto path =
      add_plugin(folder, "m",
                 "  paper: By somebody\n  cost: much\n  needs: [gradients]\n  uses_attributed_function: true\n"
                 "  parameters:\n    n: {type: int, default: 2, min: 0, max: 9, help: a number}\n"
                 "  presets:\n    other: {summary: Another, params: {n: 3}}\n");
  const PluginInfo plugin = read_manifest(path);
  EXPECT_EQ(plugin.problem, "");
  EXPECT_EQ(plugin.kind, PluginKind::method);
  EXPECT_EQ(plugin.name, "m");
  EXPECT_EQ(plugin.summary, "For tests");
  EXPECT_EQ(plugin.paper, "By somebody");
  EXPECT_EQ(plugin.cost, "much");
  EXPECT_EQ(plugin.version, "1.2.3");
  EXPECT_EQ(plugin.library, path.parent_path() / "method.m.wplugin");
  EXPECT_EQ(plugin.size, 4u);
  ASSERT_EQ(plugin.parameters.size(), 1u);
  EXPECT_EQ(plugin.parameters[0].default_value, Value(std::int64_t{2}));
  EXPECT_EQ(plugin.parameters[0].maximum, 9.0);
  ASSERT_EQ(plugin.presets.size(), 1u);
  EXPECT_EQ(plugin.presets[0].first, "other");
  EXPECT_TRUE(plugin.declaration.at("uses_attributed_function").as_bool());
}

TEST_F(Manifest, MustBeWhole) {
  EXPECT_EQ(problem("size: 4\n", ""), ":1:1: 'size' is missing");
  EXPECT_EQ(problem("size: 4\n", "size: -4\n"), ":6:7: negative size; build the plugin again");
  EXPECT_EQ(problem("manifest: 1", "manifest: 2"), ":1:11: manifest format 2, this host reads 1; rebuild the plugin");
  EXPECT_EQ(
      problem("sha256: ", "sha265: "),
      ":7:1: unknown key 'sha265'; did you mean 'sha256'? known: abi, build_id, library, manifest, plugin, sha256, "
      "size, version");
  EXPECT_EQ(problem("kind: method", "kind: methode"),
            ":9:9: unknown plugin kind 'methode'; did you mean 'method'? known: aggregator, method, metric, model, "
            "renderer, step_function");
  EXPECT_EQ(problem("name: m", "name: ../m"),
            ":10:9: '../m' is no name; use a-z, 0-9 and _, a letter first, at most 64");
  EXPECT_EQ(problem("  summary: For tests\n", ""), ":9:3: 'summary' is missing");
}

TEST_F(Manifest, NamesALibraryBesideItOnly) {
  for (const std::string library :
       {"../method.m.wplugin", "/tmp/method.m.wplugin", "method.m.so", ".wplugin", "x/y.wplugin"})
    EXPECT_EQ(problem("library: method.m.wplugin", "library: " + library),
              ":5:10: library '" + library +
                  "' is no name of a .wplugin file in the folder of the manifest; build the plugin again");
}

TEST_F(Manifest, KeepsKindAndNameOfWhatItRefuses) {
  const auto path = add_plugin(folder, "m");
  folder.write("method.m.manifest.yaml", "nothing: [");
  const PluginInfo plugin = read_manifest(path);
  EXPECT_EQ(plugin.kind, PluginKind::method);
  EXPECT_EQ(plugin.name, "m");
  EXPECT_NE(plugin.problem, "");
  EXPECT_EQ(plugin.problem.find('\n'), std::string::npos);
}

TEST_F(Manifest, ChecksTheDeclaration) {
  EXPECT_EQ(declared("  colour: red\n"),
            ":12:3: unknown key 'colour'; known: cost, explains_spans, kind, name, needs, paper, parameters, presets, "
            "summary, "
            "uses_attributed_function");
  EXPECT_EQ(
      declared("  needs: [gradient]\n"),
      ":12:11: unknown need of a method 'gradient'; did you mean 'gradients'? known: attentions, gradients, scores");
  EXPECT_EQ(declared("  uses_attributed_function: 1\n"), ":12:29: expected true or false, found integer");
  EXPECT_EQ(declared("  parameters: [a]\n"), ":12:15: expected a mapping, found list");
  EXPECT_EQ(
      declared("  parameters:\n    n: {type: number, default: 1, help: x}\n"),
      ":13:15: parameter 'n' of method 'm': unknown type 'number'; use bool, int, float, string, span, list[int], "
      "list[float], list[string], list[span] or any");
  EXPECT_EQ(declared("  parameters:\n    n: {type: int, help: x}\n"),
            ":13:5: parameter 'n' of method 'm' has no default; give one (null: none), or write required: true");
  EXPECT_EQ(declared("  parameters:\n    n: {type: int, default: 1, required: true, help: x}\n"),
            ":13:29: parameter 'n' of method 'm' is required and has a default; remove one of the two");
  EXPECT_EQ(declared("  parameters:\n    n: {type: int, default: x, help: x}\n"),
            ":13:29: parameter 'n' of method 'm': expected an integer, found text 'x'");
  EXPECT_EQ(declared("  parameters:\n    n: {type: int, default: 1}\n"), ":13:8: 'help' is missing");
  EXPECT_EQ(declared("  presets:\n    p: {summary: x, params: {n: 1}}\n"),
            ":13:30: unknown parameter of method 'm' 'n'; none is known here");
}

TEST_F(Manifest, ReadsFormulasOfTheCost) {
  const PluginInfo plugin = read_manifest(add_plugin(
      folder, "m",
      "  cost:\n    summary: much\n    where: {half: rows / 2}\n    forward_rows: 2 * half\n    backward_rows: 0\n"));
  EXPECT_EQ(plugin.problem, "");
  EXPECT_EQ(plugin.cost, "much");
  ASSERT_TRUE(plugin.cost_formulas);
  EXPECT_EQ(plugin.cost_formulas->forward_rows, "2 * half");
  EXPECT_EQ(plugin.cost_formulas->backward_rows, "0");
  EXPECT_EQ(plugin.cost_formulas->where.at(0), std::pair(std::string("half"), std::string("rows / 2")));
  EXPECT_EQ(declared("  cost: {summary: much, forward_row: 1, backward_rows: 0}\n"),
            ":12:25: unknown key 'forward_row'; did you mean 'forward_rows'? known: backward_rows, forward_rows, "
            "summary, where");
  EXPECT_EQ(declared("  cost: {summary: much, forward_rows: 1}\n"), ":12:9: 'backward_rows' is missing");
  EXPECT_EQ(declared("  cost: [1]\n"), ":12:9: expected text, found list");
}

TEST_F(Manifest, OtherAbisMayHaveOtherKeys) {
  const auto path = add_plugin(folder, "m", "  colour: red\n");
  std::string text = manifest_text("m", "  colour: red\n");
  text.replace(text.find("abi: 5"), 6, "abi: 6");
  folder.write("method.m.manifest.yaml", text);
  EXPECT_EQ(read_manifest(path).problem,
            (folder.path() / "method.m.wplugin").string() +
                ": built for plugin ABI 6, this host has 5; update whence, or rebuild the plugin "
                "for it");
}

}  // namespace
}  // namespace whence::host
