#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

using whence::testing::TemporaryFolder;

/// What the program did.
struct Outcome {
  int status = -1;  ///< exit status; 128 + signal when it was killed
  std::string out, err;
};

/// Runs the built `whence` with these words; `variables` are NAME=VALUE and join the environment.
inline Outcome whence_tool(const std::vector<std::string>& words, const std::vector<std::string>& variables = {},
                           const std::string& input = "") {
  const TemporaryFolder streams;
  const auto in = streams.write("in", input), out = streams.write("out", ""), err = streams.write("err", "");
  const pid_t child = fork();
  if (child == 0) {
    dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
    dup2(open(out.c_str(), O_WRONLY), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY), STDERR_FILENO);
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
  int status = 0;
  waitpid(child, &status, 0);
  const auto text = [](const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text(out), text(err)};
}

inline const std::string kTinyModel = WHENCE_TEST_DATA "/cases/models/llama";

/// Expects an error: its status, its whole text after the prefix, and nothing on standard output.
inline void expect_error(const Outcome& outcome, int status, const std::string& text) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.err, "whence: error: " + text + "\n");
  EXPECT_EQ(outcome.out, "");
}
