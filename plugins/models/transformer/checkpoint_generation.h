#pragma once

#include <filesystem>
#include <string>

#include "whence/generation.h"

namespace whence::transformer {

/// What a checkpoint says of generating.
struct CheckpointGeneration {
  GenerationConfig options;
  std::string unsupported;  ///< error text for an option that is not available or cannot be; empty when all are fine
};

/// Reads generation_config.json, or config.json where older checkpoints keep the same keys; a GGUF file says nothing.
/// Keys that are no matter of generating are passed over. Since texts may be given, what is wrong with an option is no
/// error before one is to be generated.
CheckpointGeneration read_checkpoint_generation(const std::filesystem::path& checkpoint);

}  // namespace whence::transformer
