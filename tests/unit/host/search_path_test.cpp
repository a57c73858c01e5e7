#include "host/search_path.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

class SearchPath : public ::testing::Test {
 protected:
  SearchPath() {
    for (const char* name : {"a", "b", "c"}) fs::create_directory(folder.path() / name);
  }
  ~SearchPath() override {
    ::unsetenv("WHENCE_PLUGIN_PATH");
    ::unsetenv("WHENCE_ARCHITECTURE_PATH");
  }

  whence::testing::TemporaryFolder folder;
  const fs::path a = fs::canonical(folder.path()) / "a", b = fs::canonical(folder.path()) / "b",
                 c = fs::canonical(folder.path()) / "c";
};

TEST_F(SearchPath, HasAnOrder) {
  ::setenv("WHENCE_PLUGIN_PATH", (":" + c.string() + "::" + a.string() + ":").c_str(), 1);
  EXPECT_EQ(plugin_search_path({b, ""}, {a / ".." / "a"}),
            (std::vector<fs::path>{b, a, c, installation_prefix() / "lib/whence/plugins"}));
}

TEST_F(SearchPath, NeverHoldsTheWorkingDirectory) {
  ::setenv("WHENCE_PLUGIN_PATH", "::", 1);
  EXPECT_EQ(plugin_search_path({""}, {""}), (std::vector<fs::path>{installation_prefix() / "lib/whence/plugins"}));
}

TEST_F(SearchPath, FoldersGivenByNameMustExist) {
  EXPECT_EQ(whence::testing::text_of_error([&] { plugin_search_path({a / "x"}, {}); }),
            (a / "x").string() + ": no such plugin folder; correct plugins.paths");
  EXPECT_EQ(whence::testing::text_of_error([&] { plugin_search_path({}, {a / "x"}); }),
            (a / "x").string() + ": no such plugin folder; correct --plugin-path");
}

TEST_F(SearchPath, ArchitecturesHaveTheirOwn) {
  ::setenv("WHENCE_ARCHITECTURE_PATH", a.c_str(), 1);
  EXPECT_EQ(architecture_search_path(),
            (std::vector<fs::path>{a, installation_prefix() / "share/whence/architectures"}));
}

}  // namespace
}  // namespace whence::host
