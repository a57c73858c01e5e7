#pragma once

#include "arguments.h"
#include "host/catalogue.h"
#include "host/experiment.h"

namespace whence::cli {

/// The options of `attribute-context`, under the names and with the defaults of the reference toolkit, and what it does
/// not have.
std::vector<Option> context_options();

/// The experiment with one text and its context that these options describe. Throws ConfigError that names the option,
/// and InputError for a file of documents.
host::Experiment context_experiment_from_options(const Arguments& arguments, const host::Catalogue& catalogue);

}  // namespace whence::cli
