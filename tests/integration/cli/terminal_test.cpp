// What a person at a terminal sees, and what happens to output nobody can take. The terminal is a pseudo-terminal.
#include <pty.h>

#include "cli/tool.h"

namespace {

/// Everything `whence` writes to a terminal, which is its standard output and standard error.
Outcome on_terminal(const std::vector<std::string>& words, const std::vector<std::string>& variables) {
  int terminal = -1;
  winsize size{};
  size.ws_row = 40;
  size.ws_col = 100;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) become_whence(words, variables);
  std::string shown;
  char buffer[4096];
  // Reading ends with an error once the other side is closed.
  for (ssize_t count; (count = read(terminal, buffer, sizeof buffer)) > 0;)
    shown.append(buffer, static_cast<std::size_t>(count));
  close(terminal);
  return {exit_status(child), shown, ""};
}

const std::vector<std::string> kVariables{"TERM=xterm-256color", "COLORTERM=", "NO_COLOR="};
const std::vector<std::string> kAttribute{"attribute", "-m", kTinyModel, "-i", "The nurse", "-g", "The nurse told the"};

std::vector<std::string> attribute(std::vector<std::string> more) {
  more.insert(more.begin(), kAttribute.begin(), kAttribute.end());
  return more;
}

TEST(Terminal, ShowsABarAndTakesItAwayAgain) {
  const Outcome shown = on_terminal(attribute({"--hide"}), kVariables);
  EXPECT_EQ(shown.status, 0) << shown.out;
  const std::size_t bar = shown.out.find("saliency [");
  ASSERT_NE(bar, std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("/s, ", bar), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out.find("0/0"), std::string::npos) << shown.out;
  EXPECT_TRUE(shown.out.ends_with("\x1b[2K")) << "the bar is still there: " << shown.out;
}

TEST(Terminal, ShowsNoBarWhenQuiet) {
  const Outcome shown = on_terminal(attribute({"--hide", "--quiet"}), kVariables);
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ(shown.out, "");
}

TEST(Terminal, ColoursByItself) {
  const auto shown = [](const std::string& variable) {
    std::vector<std::string> variables = kVariables;
    variables.push_back(variable);
    return on_terminal(attribute({"--quiet"}), variables).out;
  };
  EXPECT_NE(shown("TERM=xterm-256color").find("48;5;"), std::string::npos);
  EXPECT_NE(shown("COLORTERM=truecolor").find("48;2;"), std::string::npos);
  for (const char* without : {"NO_COLOR=1", "TERM=dumb", "TERM="})
    EXPECT_EQ(shown(without).find('\x1b'), std::string::npos) << without;
  EXPECT_EQ(on_terminal(attribute({"--quiet", "--color", "never"}), kVariables).out.find('\x1b'), std::string::npos);
}

TEST(Output, ThatCannotBeWrittenIsAnError) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"list"}, {"--help"}, {"describe", "saliency"}, attribute({"--quiet"})}) {
    const Outcome full = whence_tool(words, {}, "", {.standard_output = "/dev/full"});
    EXPECT_EQ(full.status, 5) << words.front();
    EXPECT_EQ(full.err, "whence: error: standard output: cannot be written: No space left on device\n");
    const Outcome closed = whence_tool(words, {}, "", {.standard_output = ""});
    EXPECT_EQ(closed.status, 5) << words.front();
    EXPECT_EQ(closed.err, "whence: error: standard output: cannot be written: Bad file descriptor\n");
  }
}

}  // namespace
