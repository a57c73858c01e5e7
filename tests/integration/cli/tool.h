#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

using whence::testing::TemporaryFolder;

/// What the program did.
struct Outcome {
  int status = -1;  ///< exit status; 128 + signal when it was killed
  std::string out, err;
};

/// How a run of the program differs from an ordinary one.
struct Circumstances {
  /// Where standard output goes instead of Outcome::out; empty: it is closed.
  std::optional<std::string> standard_output = {};
  /// Closed files and folders are closed to root, too, as long as root owns the checkout.
  bool ordinary_user = false;
};

/// Turns this process into `whence` with these words; `variables` are NAME=VALUE and join the environment.
[[noreturn]] inline void become_whence(const std::vector<std::string>& words,
                                       const std::vector<std::string>& variables) {
  for (const std::string& variable : variables) {
    const std::size_t equals = variable.find('=');
    setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  const std::string program = WHENCE_BINARY_DIR "/bin/whence";
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

/// Waits for a child; its exit status, or 128 + signal.
inline int exit_status(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Runs the built `whence`.
inline Outcome whence_tool(const std::vector<std::string>& words, const std::vector<std::string>& variables = {},
                           const std::string& input = "", const Circumstances& circumstances = {}) {
  const TemporaryFolder streams;
  const auto in = streams.write("in", input), out = streams.write("out", ""), err = streams.write("err", "");
  const pid_t child = fork();
  if (child == 0) {
    dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
    dup2(open(circumstances.standard_output.value_or(out.string()).c_str(), O_WRONLY), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY), STDERR_FILENO);
    if (circumstances.ordinary_user)
      for (const int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}) prctl(PR_CAPBSET_DROP, capability);
    // The last thing before the program: nothing else may take its place.
    if (circumstances.standard_output == "") close(STDOUT_FILENO);
    become_whence(words, variables);
  }
  const int status = exit_status(child);
  const auto text = [](const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  return {status, text(out), text(err)};
}

inline const std::string kTinyModel = WHENCE_TEST_DATA "/cases/models/llama";

/// Expects an error: its status, its whole text after the prefix, and nothing on standard output.
inline void expect_error(const Outcome& outcome, int status, const std::string& text) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.err, "whence: error: " + text + "\n");
  EXPECT_EQ(outcome.out, "");
}
