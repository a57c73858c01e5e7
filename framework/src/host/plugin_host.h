#pragma once

#include <filesystem>
#include <memory>

#include "host/catalogue.h"
#include "host/param_check.h"
#include "whence/aggregator.h"
#include "whence/method.h"
#include "whence/metric.h"
#include "whence/model.h"
#include "whence/renderer.h"
#include "whence/step_function.h"

namespace whence::host {

/// Opens plugin libraries when they are first needed and makes instances of what they register. Every instance is
/// wrapped so that whatever a plugin throws arrives as a whence::Error; a library, once opened, stays open for the life
/// of the process. [thread: any]
class PluginHost {
 public:
  /// `catalogue` outlives the host.
  explicit PluginHost(const Catalogue& catalogue);
  explicit PluginHost(Catalogue&&) = delete;
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
  std::unique_ptr<Metric> make_metric(const Choice& choice) const;

  /// Opens the library of one plugin and compares descriptor, exports and registered names with its manifest; throws
  /// PluginError.
  void check(const PluginInfo& plugin) const;

 private:
  template <class Interface>
  std::unique_ptr<Interface> make(PluginKind kind, const Choice& choice) const;

  const Catalogue& catalogue_;
};

/// `PluginHost::check` for one manifest, whatever the search path: what `doctor` runs in a child process, since a
/// library that aborts while it is opened takes its process with it. Throws PluginError.
void check_plugin(const std::filesystem::path& manifest);

}  // namespace whence::host
