// Paths that are empty, too long, or closed to the user: one error that names the path, never a defect.
#include <sys/stat.h>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;

/// A folder that may not be entered, as an ordinary user finds it.
class ClosedFolder {
 public:
  ClosedFolder() : path_(folder_.path() / "closed") {
    fs::create_directory(path_);
    folder_.write("closed/there.json", "{}");
    chmod(path_.c_str(), 0);
  }
  ~ClosedFolder() { chmod(path_.c_str(), 0700); }
  ClosedFolder(const ClosedFolder&) = delete;
  ClosedFolder& operator=(const ClosedFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  TemporaryFolder folder_;
  fs::path path_;
};

Outcome as_ordinary_user(const std::vector<std::string>& words, const std::vector<std::string>& variables = {}) {
  return whence_tool(words, variables, "", {.ordinary_user = true});
}

void expect_failure_at(const Outcome& outcome, int status, const std::string& path, const std::string& reason) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_NE(outcome.err.find(path), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(reason), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

std::vector<std::string> attribute(std::vector<std::string> more) {
  std::vector<std::string> words{"attribute", "-m", kTinyModel, "-i", "It was", "-g", "It was a", "--quiet", "--hide"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string experiment(const TemporaryFolder& folder) {
  return folder.write("e.yaml", "model: " + kTinyModel + "\ninputs: It was\nattributions: saliency\n").string();
}

TEST(Paths, ThatAreEmptyAreNamed) {
  const TemporaryFolder folder;
  const std::string file = experiment(folder), mend = ": the path is empty; name one, or leave the option out";
  expect_error(whence_tool({"run", ""}), 2, "an empty argument; expected the experiment file");
  expect_error(whence_tool({"validate", file, ""}), 2, "an empty argument; expected at least one experiment file");
  expect_error(whence_tool({"view", ""}), 2, "an empty argument; expected the result file");
  expect_error(whence_tool({"reproduce", ""}), 2, "an empty argument; expected the run directory");
  expect_error(whence_tool({"run", file, "-o", ""}), 2, "--output-dir" + mend);
  expect_error(whence_tool(attribute({"-o", ""})), 2, "--save-path" + mend);
  expect_error(whence_tool(attribute({"-m", ""})), 2, "--model-name-or-path" + mend);
  expect_error(whence_tool({"doctor", "-m", ""}), 2, "--model" + mend);
  expect_error(whence_tool({"doctor", "--plugin", ""}), 2, "--plugin" + mend);
}

TEST(Paths, ThatAreClosedToTheUserAreNamed) {
  const ClosedFolder closed;
  const TemporaryFolder folder;
  const std::string file = experiment(folder), denied = "Permission denied";
  expect_failure_at(as_ordinary_user(attribute({"-o", closed / "x.json"})), 5, closed / "", denied);
  expect_failure_at(as_ordinary_user({"run", file, "--quiet", "-o", closed / "runs"}), 5, closed / "", denied);
  expect_failure_at(as_ordinary_user({"view", closed / "there.json"}), 5, closed / "there.json", "cannot be read");
  expect_failure_at(as_ordinary_user({"reproduce", closed / "run"}), 5, closed / "run", "");
  const Outcome model = as_ordinary_user(attribute({"-m", closed / "m.gguf"}));
  expect_failure_at(model, model.status == 5 ? 5 : 4, closed / "m.gguf", "");
}

TEST(Paths, ThatAreClosedDoNotHideInstalledPlugins) {
  const ClosedFolder closed;
  const Outcome all = as_ordinary_user({"list"}, {"WHENCE_PLUGIN_PATH=" + (closed / "plugins")});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_NE(all.out.find("  saliency "), std::string::npos);
}

TEST(Paths, ThatAreTooLongAreNamed) {
  const std::string name = "/tmp/" + std::string(300, 'x'), reason = "File name too long";
  expect_failure_at(whence_tool(attribute({"-o", name})), 5, name, reason);
  expect_failure_at(whence_tool({"reproduce", name}), 5, name, "");
  expect_failure_at(whence_tool({"view", name}), 5, name, "cannot be read");
}

TEST(Paths, OfARunNameItsResults) {
  const TemporaryFolder folder;
  folder.write("run/results/saliency.json", "{}");
  folder.write("run/results/occlusion.json", "{}");
  const std::string run = (folder.path() / "run").string();
  expect_error(whence_tool({"view", run}), 5,
               run + ": is a folder; expected a result file, for instance " + run + "/results/occlusion.json, " + run +
                   "/results/saliency.json");
  expect_error(whence_tool({"view", run + "/results/.."}), 5,
               run + "/results/..: is a folder; expected a result file, for instance " + run +
                   "/results/../results/occlusion.json, " + run + "/results/../results/saliency.json");
}

}  // namespace
