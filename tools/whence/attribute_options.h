#pragma once

#include "arguments.h"
#include "host/catalogue.h"
#include "host/experiment.h"

namespace whence::cli {

/// The options of `attribute`, under the names and with the defaults of the reference toolkit.
std::vector<Option> attribute_options();

/// The experiment with one attribution that these options describe. Throws ConfigError that names the option.
host::Experiment experiment_from_options(const Arguments& arguments, const host::Catalogue& catalogue);

/// A plugin as an option has it: a name, or `name: {parameter: value}` as in an experiment file. `what` is what it is
/// in errors.
host::Choice choice_from_option(const std::string& word, const std::string& option, std::string_view what);

/// The chain that a list option names, each stage as above; empty when it is not given. "none" alone is a chain without
/// stages.
std::optional<std::vector<host::Choice>> chain_from_option(const Arguments& arguments, const std::string& name);

/// The chain given by --attribution-aggregators with selectors, normalisation and rescaling; empty when none is given.
std::optional<std::vector<host::Choice>> aggregation_from_options(const Arguments& arguments,
                                                                  const host::Catalogue& catalogue);

}  // namespace whence::cli
