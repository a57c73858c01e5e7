#pragma once

#include "arguments.h"
#include "host/plugin_host.h"

namespace whence::cli {

/// The plugins this invocation sees.
struct Session {
  explicit Session(const Arguments& arguments, const std::vector<std::filesystem::path>& from_experiment = {});

  host::Catalogue catalogue;
  host::PluginHost host;
};

/// Value of --threads, if given. Throws ConfigError unless it is a number of threads.
std::optional<std::int64_t> given_threads(const Arguments& arguments);
/// Sets the number of threads: --threads, else `otherwise`; 0 leaves libtorch's own.
void set_threads(const Arguments& arguments, int otherwise);

}  // namespace whence::cli
