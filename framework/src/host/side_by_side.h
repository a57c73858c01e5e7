#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/run.h"

namespace whence::host {

/// The results at these paths, in their order: files, and folders of runs with all of their attributions. Each is named
/// as its attribution is, or as its file; where names are equal, as the path. Throws InputError.
std::vector<NamedOutput> read_results(const std::vector<std::string>& paths);

/// The results with one number for each token and step: sent through `chain`, or through their own aggregation, or the
/// default one. Throws ConfigError for one that has more dims.
std::vector<NamedOutput> token_level(const PluginHost& host, const std::vector<NamedOutput>& results,
                                     const std::optional<std::vector<Choice>>& chain = {});

/// Throws InputError at the first text, token or explained position in which a result differs from the first one.
void require_same_steps(const std::vector<NamedOutput>& results);

}  // namespace whence::host
