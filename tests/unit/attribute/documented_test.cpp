// docs/methods.md names every method of this build, by its README, and every preset of one.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/plugins.h"

namespace whence {
namespace {

TEST(Documented, EveryMethodAndPreset) {
  std::stringstream page;
  page << std::ifstream(WHENCE_SOURCE_DIR "/docs/methods.md").rdbuf();
  ASSERT_FALSE(page.str().empty());
  for (const host::PluginInfo& plugin : testing::built_plugins().catalogue().plugins()) {
    if (plugin.kind != host::PluginKind::method) continue;
    const std::string link = "[" + plugin.name + "](../plugins/methods/" + plugin.name + "/README.md)";
    EXPECT_NE(page.str().find(link), std::string::npos) << "docs/methods.md: no " << link;
    for (const auto& [preset, _] : plugin.presets)
      EXPECT_NE(page.str().find("`" + preset + "`"), std::string::npos)
          << "docs/methods.md: no `" << preset << "`, a preset of " << plugin.name;
  }
}

}  // namespace
}  // namespace whence
