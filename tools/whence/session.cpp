#include "session.h"

#include <ATen/Parallel.h>

#include "host/search_path.h"

namespace whence::cli {
namespace {

std::vector<std::filesystem::path> given_paths(const Arguments& arguments) {
  const auto words = arguments.list("plugin-path");
  return {words.begin(), words.end()};
}

}  // namespace

Session::Session(const Arguments& arguments, const std::vector<std::filesystem::path>& from_experiment)
    : catalogue(host::plugin_search_path(from_experiment, given_paths(arguments))), host(catalogue) {}

std::optional<std::int64_t> given_threads(const Arguments& arguments) {
  constexpr int kMostThreads = 4096;
  const auto threads = arguments.integer("threads");
  if (threads && (*threads < 0 || *threads > kMostThreads))
    throw ConfigError("--threads: " + std::to_string(*threads) + " is not between 0 and " +
                      std::to_string(kMostThreads));
  return threads;
}

void set_threads(const Arguments& arguments, int otherwise) {
  const std::int64_t threads = given_threads(arguments).value_or(otherwise);
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
}

}  // namespace whence::cli
