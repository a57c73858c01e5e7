#pragma once

#include "arguments.h"
#include "host/catalogue.h"
#include "host/experiment.h"

namespace whence::cli {

/// The options of `attribute`, under the names and with the defaults of the reference toolkit.
std::vector<Option> attribute_options();

/// The experiment with one attribution that these options describe. Throws ConfigError that names the option.
host::Experiment experiment_from_options(const Arguments& arguments, const host::Catalogue& catalogue);

}  // namespace whence::cli
