#pragma once

#include <string>
#include <vector>

#include "host/model_loading.h"
#include "host/plugin_host.h"
#include "whence/generation.h"

namespace whence::serve {

/// What every job computes with, and within which bounds. Outlives all of them.
struct Workshop {
  const host::PluginHost& host;
  const host::LoadedModel& loaded;
  std::string model_path;
  std::int64_t memory_bytes = 0;
  std::int64_t batch_size = 8;
  std::int64_t max_tokens = 1024;  ///< of the texts of a job and what may be generated

  const Model& model() const { return *loaded.model; }
};

/// Throws InputError when the texts, and what `generation` may add to them, have more tokens than a job may. Without
/// `generation` nothing is added.
void check_length(const Workshop& shop, const std::vector<std::string>& texts, const GenerationConfig* generation);

}  // namespace whence::serve
