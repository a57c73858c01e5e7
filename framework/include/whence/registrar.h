#pragma once

#include <functional>
#include <memory>
#include <string>

#include "whence/export.h"
#include "whence/params.h"

namespace whence {

class Aggregator;
class Method;
class Metric;
class ModelLoader;
class Renderer;
class StepFunction;

/// Makes one configured instance.
template <class Interface>
using Factory = std::function<std::unique_ptr<Interface>(const Params&)>;

/// What `register_plugin` of a library is given. A name must be the one its plugin.yaml declares; a name twice is an
/// error.
class WHENCE_API Registrar {
 public:
  virtual ~Registrar();
  virtual void add_model(const std::string& name, Factory<ModelLoader> factory) = 0;
  virtual void add_method(const std::string& name, Factory<Method> factory) = 0;
  virtual void add_step_function(const std::string& name, Factory<StepFunction> factory) = 0;
  virtual void add_aggregator(const std::string& name, Factory<Aggregator> factory) = 0;
  virtual void add_renderer(const std::string& name, Factory<Renderer> factory) = 0;
  virtual void add_metric(const std::string& name, Factory<Metric> factory) = 0;
};

}  // namespace whence
