#pragma once

#include <map>

#include "host/model_loading.h"
#include "support/plugins.h"

namespace whence::testing {

/// A tiny checkpoint of the parity cases, loaded once.
inline const Model& tiny_model(const std::string& name) {
  static std::map<std::string, host::LoadedModel> loaded;
  const auto found = loaded.find(name);
  if (found != loaded.end()) return *found->second.model;
  const std::string path = WHENCE_TEST_DATA "/cases/models/" + name;
  return *loaded.emplace(name, host::load_model(built_plugins(), path)).first->second.model;
}

}  // namespace whence::testing
