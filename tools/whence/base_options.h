#pragma once

#include "arguments.h"
#include "host/catalogue.h"
#include "host/experiment.h"

namespace whence::cli {

/// What `attribute` and `attribute-context` have in common: options under the names and with the defaults of the
/// reference toolkit.
std::vector<Option> base_options();

/// An experiment without texts: the model and how it computes and generates. Throws ConfigError that names the option.
host::Experiment experiment_from_base(const Arguments& arguments);
/// Method, attributed function, `step_scores` and the aggregation, with the parameters that `kwargs` holds for them.
host::AttributionSpec attribution_from_base(const Arguments& arguments, const host::Catalogue& catalogue,
                                            std::vector<host::Choice> step_scores, const Value& kwargs);

/// An option that holds a JSON object; an empty mapping when absent.
Value json_option(const Arguments& arguments, const std::string& name);

/// A language from its own option (--src-lang, --tgt-lang) or, as the reference has it, from --tokenizer-kwargs; empty
/// when there is none.
std::string source_language(const Arguments& arguments);
std::string target_language(const Arguments& arguments);

/// A plugin as an option has it: a name, or `name: {parameter: value}` as in an experiment file. `what` is what it is
/// in errors.
host::Choice choice_from_option(const std::string& word, const std::string& option, std::string_view what);

/// The chain that a list option names, each stage as above; empty when it is not given. "none" alone is a chain without
/// stages.
std::optional<std::vector<host::Choice>> chain_from_option(const Arguments& arguments, const std::string& name);

}  // namespace whence::cli
