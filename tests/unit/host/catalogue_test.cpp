#include "host/catalogue.h"

#include <gtest/gtest.h>

#include "host/manifests.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

using whence::testing::add_plugin;
using whence::testing::text_of_error;

class CatalogueTest : public ::testing::Test {
 protected:
  Catalogue catalogue(const std::vector<std::string>& folders) const {
    std::vector<std::filesystem::path> paths;
    for (const auto& name : folders) paths.push_back(folder.path() / name);
    return Catalogue(paths);
  }

  whence::testing::TemporaryFolder folder;
};

const std::string kPreset = "  parameters:\n    n: {type: int, default: 1, help: x}\n  presets:\n    ";

TEST_F(CatalogueTest, TheFirstOfANameWins) {
  const auto first = add_plugin(folder, "b", "", "one");
  add_plugin(folder, "b", "", "two");
  add_plugin(folder, "a", "", "two");
  const Catalogue found = catalogue({"one", "missing", "two"});
  ASSERT_EQ(found.plugins().size(), 3u);
  EXPECT_EQ(found.plugins()[0].name, "a");
  EXPECT_EQ(found.plugins()[1].manifest, first);
  EXPECT_TRUE(found.plugins()[1].shadowed_by.empty());
  EXPECT_EQ(found.plugins()[2].shadowed_by, first);
  EXPECT_EQ(found.find(PluginKind::method, "b").manifest, first);
}

TEST_F(CatalogueTest, ABrokenOneIsNotReplacedSilently) {
  add_plugin(folder, "a", "  colour: red\n", "one");
  add_plugin(folder, "a", "", "two");
  EXPECT_NE(catalogue({"one", "two"}).find(PluginKind::method, "a").problem, "");
}

TEST_F(CatalogueTest, DoesNotLookIntoFoldersWithinFolders) {
  add_plugin(folder, "a", "", "one/deeper");
  EXPECT_TRUE(catalogue({"one"}).plugins().empty());
}

TEST_F(CatalogueTest, FindsPresets) {
  add_plugin(folder, "a", kPreset + "twice: {summary: x, params: {n: 2}}\n    b: {summary: x, params: {n: 3}}\n",
             "one");
  const auto plugin = add_plugin(folder, "b", kPreset + "twice: {summary: x, params: {n: 5}}\n", "one");
  const Catalogue found = catalogue({"one"});
  EXPECT_EQ(found.names(PluginKind::method), (std::vector<std::string>{"a", "b", "twice"}));
  EXPECT_EQ(found.find(PluginKind::method, "twice").name, "a");
  EXPECT_EQ(found.find(PluginKind::method, "b").manifest, plugin);
}

TEST_F(CatalogueTest, NamesWhatItKnows) {
  add_plugin(folder, "saliency", "", "one");
  add_plugin(folder, "broken", "  colour: red\n", "one");
  const Catalogue found = catalogue({"one"});
  EXPECT_EQ(text_of_error([&] {
              found.find(PluginKind::method, "salience", {"e.yaml", 3, 11});
            }),
            "e.yaml:3:11: unknown method 'salience'; did you mean 'saliency'? known: saliency");
  EXPECT_EQ(text_of_error([&] { found.find(PluginKind::renderer, "html"); }),
            "unknown renderer 'html'; none is known here");
}

TEST_F(CatalogueTest, ListsLibrariesWithoutManifest) {
  folder.write("one/step_function.x.wplugin", "text");
  folder.write("one/stray.wplugin", "text");
  const Catalogue found = catalogue({"one"});
  ASSERT_EQ(found.plugins().size(), 2u);
  EXPECT_EQ(found.find(PluginKind::step_function, "x").problem,
            (folder.path() / "one/step_function.x.wplugin").string() +
                ": no manifest beside it; build or install the plugin with whence_add_plugin()");
  EXPECT_EQ(found.plugins()[0].name, "stray");
}

}  // namespace
}  // namespace whence::host
