#pragma once

#include "arguments.h"
#include "host/experiment.h"

namespace whence::cli {

/// --contrast-targets, --contrast-sources and --contrast-alignments: what each text is compared with.
std::vector<Option> contrast_options();

/// Gives the inputs what these options say, or --attribution-kwargs under the names of the reference; what is given
/// once is for all. The kwargs come back without it. Throws ConfigError that names the option.
Value read_contrasts(const Arguments& arguments, const Value& attribution_kwargs, host::Experiment& experiment);

}  // namespace whence::cli
