#include "case_models.h"

#include <map>

#include "host/model_loading.h"
#include "support/plugins.h"

namespace whence::parity {

const Model& model(const std::string& name) {
  static std::map<std::string, host::LoadedModel> loaded;
  auto found = loaded.find(name);
  if (found == loaded.end()) {
    const std::string path = name == "smollm2-135m-instruct-q4_1" ? WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf"
                                                                  : WHENCE_TEST_DATA "/cases/models/" + name;
    found = loaded.emplace(name, host::load_model(testing::built_plugins(), path)).first;
  }
  return *found->second.model;
}

}  // namespace whence::parity
