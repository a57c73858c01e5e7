#pragma once

#include "arguments.h"
#include "host/catalogue.h"
#include "host/experiment.h"

namespace whence::cli {

/// The options of `attribute`, under the names and with the defaults of the reference toolkit.
std::vector<Option> attribute_options();

/// The experiment with one attribution that these options describe. Throws ConfigError that names the option.
host::Experiment experiment_from_options(const Arguments& arguments, const host::Catalogue& catalogue);

/// A stage of a chain as an option has it: a name, or `name: {parameter: value}` as in an experiment file.
host::Choice aggregator_from_option(const std::string& stage, const std::string& option);

/// The chain given by --attribution-aggregators with selectors, normalisation and rescaling; empty when none is given.
std::optional<std::vector<host::Choice>> aggregation_from_options(const Arguments& arguments,
                                                                  const host::Catalogue& catalogue);

}  // namespace whence::cli
