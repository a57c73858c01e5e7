#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "host/contrast.h"
#include "host/plugin_host.h"
#include "host/run.h"

namespace whence::host {

/// Everything wrong with the context of an experiment that is found without opening a library or a checkpoint.
void check_contexts(const Catalogue& catalogue, const Experiment& experiment);
/// Makes every plugin that it names, so that one that cannot be used, or a renderer that draws no context attributions,
/// is found before long work.
void try_context_plugins(const PluginHost& host, const Experiment& experiment);

/// The context attribution of every text of an experiment, in order.
std::vector<NamedContext> attribute_contexts(const Model& model, const PluginHost& host, const Experiment& experiment,
                                             const RunListener& listener, const FindAligner& find_aligner);
/// What a run stored of them. Throws InputError.
std::vector<NamedContext> read_contexts(const Experiment& experiment, const std::filesystem::path& directory);

/// What the plugins of a context attribution are chosen by, the sensitivity as a step score.
AttributionSpec with_sensitivity(const ContextSpec& spec);

}  // namespace whence::host
