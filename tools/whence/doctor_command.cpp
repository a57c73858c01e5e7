#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <sys/wait.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cstring>

#include "amount_text.h"
#include "checkpoint_page.h"
#include "command.h"
#include "console.h"
#include "host/manifest.h"
#include "host/model_loading.h"
#include "json_value.h"
#include "session.h"
#include "whence/plugin.h"

namespace whence::cli {
namespace {

using host::PluginInfo;

/// What a child process that opens the library of a manifest says; empty: all is well. The child is this program, since
/// a library that aborts while it is opened takes its process with it.
std::string try_in_child(const std::filesystem::path& manifest) {
  int ends[2];
  if (pipe(ends) != 0) return std::string("cannot be tried: ") + std::strerror(errno);
  const pid_t child = fork();
  if (child < 0) return std::string("cannot be tried: ") + std::strerror(errno);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    const std::string path = manifest.string();
    execl("/proc/self/exe", "whence", "doctor", "--quiet", "--plugin", path.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (count < 0 && errno != EINTR) break;
    if (count > 0) said.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFSIGNALED(status)) return std::string("ends the process that opens it: ") + strsignal(WTERMSIG(status));
  constexpr std::string_view kPrefix = "whence: error: ";
  if (said.starts_with(kPrefix)) said.erase(0, kPrefix.size());
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said.empty() ? "cannot be opened" : said;
}

struct Line {
  std::string name, value;
};

std::string physical_memory() {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  char text[64];
  std::snprintf(text, sizeof text, "%.1f GiB, %.1f GiB free",
                page * static_cast<double>(sysconf(_SC_PHYS_PAGES)) / kGiB,
                page * static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) / kGiB);
  return text;
}

std::vector<Line> environment_lines(const Session& session) {
  std::vector<Line> lines{{"whence", WHENCE_VERSION},
                          {"plugin ABI", std::to_string(WHENCE_PLUGIN_ABI)},
                          {"build id", std::string(host::host_build_id())},
                          {"libtorch", TORCH_VERSION},
                          {"CPU features", at::get_cpu_capability()},
                          {"threads", std::to_string(at::get_num_threads())},
                          {"memory", physical_memory()}};
  for (const auto& folder : session.catalogue.search_path()) {
    std::error_code unreadable;
    const bool found = std::filesystem::is_directory(folder, unreadable);
    lines.push_back({"plugin folder", folder.string() + (found ? "" : " (does not exist or cannot be read)")});
  }
  for (const auto& file : host::architecture_files()) lines.push_back({"architecture", file.string()});
  return lines;
}

int check_one_plugin(const std::string& manifest) {
  host::check_plugin(manifest);
  return 0;
}

int check_model(const Arguments& arguments, const Session& session, const std::string& path) {
  const host::ExaminedModel model =
      host::examine_model(session.host, host::find_model(path, std::filesystem::current_path()));
  print(arguments.on("json") ? checkpoint_json(model).dump(2) + "\n" : checkpoint_text(model));
  const auto& problems = model.report.problems;
  if (problems.empty()) return 0;
  notices(arguments)(path + ": " + counted(std::ssize(problems), "problem") + "; this checkpoint cannot be used");
  return static_cast<int>(problems.front().status);
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 0, 1, "[MODEL]");
  if (const auto manifest = arguments.path("plugin")) return check_one_plugin(*manifest);
  set_threads(arguments, 0);
  const Session session(arguments);
  const auto named = arguments.path("model");
  const auto& words = arguments.positional();
  if (named && !words.empty())
    throw ConfigError("'" + words.front() + "' and --model both name a checkpoint; give one");
  if (named || !words.empty()) return check_model(arguments, session, named ? *named : words.front());

  auto plugins = nlohmann::ordered_json::array();
  std::string text;
  auto environment = nlohmann::ordered_json::array();
  for (const Line& line : environment_lines(session)) {
    environment.push_back({{"name", line.name}, {"value", line.value}});
    text += line.name + ": " + line.value + "\n";
  }
  std::size_t broken = 0;
  for (const PluginInfo& plugin : session.catalogue.plugins()) {
    std::string problem = plugin.problem;
    if (problem.empty()) problem = try_in_child(plugin.manifest);
    const std::string name = std::string(host::kind_name(plugin.kind)) + " " + plugin.name;
    broken += !problem.empty();
    const std::string shadowed = plugin.shadowed_by.empty() ? "" : " (shadowed by " + plugin.shadowed_by.string() + ")";
    text += name + shadowed + ": " + (problem.empty() ? "ok" : problem) + "\n";
    plugins.push_back({{"kind", host::kind_name(plugin.kind)},
                       {"name", plugin.name},
                       {"manifest", plugin.manifest.string()},
                       {"problem", problem},
                       {"shadowed_by", plugin.shadowed_by.string()}});
  }
  print(arguments.on("json") ? nlohmann::ordered_json{{"environment", environment}, {"plugins", plugins}}.dump(2) + "\n"
                             : text);
  if (broken == 0) return 0;
  notices(arguments)(std::to_string(broken) + " plugin(s) cannot be used");
  return static_cast<int>(ExitStatus::plugin);
}

}  // namespace

Command doctor_command() {
  using enum OptionKind;
  return {
      "doctor",
      "[MODEL] [options]",
      "Say what is installed and what is broken, or what a checkpoint is",
      "Every plugin is opened in a process of its own, so that a damaged library harms nothing. The exit status is "
      "3 when a plugin cannot be used.\n\nWith MODEL, a GGUF file or the folder of a checkpoint, says what was "
      "recognised of that instead: architecture, sizes, tensors, tokenizer, chat template, the memory it will take, "
      "and everything that is wrong with it. The exit status is that of the first problem.",
      {{"plugin", value, {}, "MANIFEST", "open the library of this manifest only, in this process"},
       {"model", value, {"-m"}, "PATH", "the checkpoint, in place of MODEL"}},
      run};
}

}  // namespace whence::cli
