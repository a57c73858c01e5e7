#pragma once

#include "arguments.h"
#include "host/experiment.h"

namespace whence::cli {

/// --memory, of every command that runs a model on texts.
Option memory_option();
/// --memory, --dtype and --weights: how a model is loaded.
std::vector<Option> model_options();
/// Those, --plan and --stats: what `attribute` and `run` have in common.
std::vector<Option> computing_options();

/// Value of --memory in bytes, if given. Throws ConfigError.
std::optional<std::int64_t> given_memory(const Arguments& arguments);
/// Puts --memory, --dtype and --weights in place of what the experiment says. Throws ConfigError, UnknownName.
void apply_computing_options(const Arguments& arguments, host::Experiment& experiment);

}  // namespace whence::cli
