#pragma once

#include <memory>
#include <string>

#include "host/catalogue.h"
#include "host/param_check.h"
#include "whence/aggregator.h"
#include "whence/method.h"
#include "whence/model.h"
#include "whence/renderer.h"
#include "whence/step_function.h"

namespace whence::host {

/// Opens plugin libraries when they are first needed and makes instances of what they register. Every instance is wrapped so
/// that whatever a plugin throws arrives as a whence::Error; a library, once opened, stays open for the life of the process.
class PluginHost {
 public:
  explicit PluginHost(const Catalogue& catalogue);
  ~PluginHost();
  PluginHost(const PluginHost&) = delete;
  PluginHost& operator=(const PluginHost&) = delete;

  const Catalogue& catalogue() const;

  // Each throws UnknownName, ConfigError (parameters) or PluginError (library).
  std::unique_ptr<ModelLoader> make_model_loader(const Choice& choice) const;
  std::unique_ptr<Method> make_method(const Choice& choice) const;
  std::unique_ptr<StepFunction> make_step_function(const Choice& choice) const;
  std::unique_ptr<Aggregator> make_aggregator(const Choice& choice) const;
  std::unique_ptr<Renderer> make_renderer(const Choice& choice) const;

  /// Opens the library of one plugin and compares descriptor, exports and registered names with its manifest; throws PluginError.
  void check(const PluginInfo& plugin) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace whence::host
