#include "host/generation_record.h"

#include "whence/generation_options.h"

namespace whence::host {

void record_generation(const GenerationConfig& asked, const ModelInfo& model, AttributionOutput& output) {
  for (auto& [key, value] : output.info)
    if (key == "generation_args") value = generation_options(resolved_generation(asked, model));
}

}  // namespace whence::host
