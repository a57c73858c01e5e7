#pragma once

#include <memory>
#include <string>

#include "whence/aggregator.h"
#include "whence/method.h"
#include "whence/metric.h"
#include "whence/model.h"
#include "whence/renderer.h"
#include "whence/step_function.h"

namespace whence::host {

// Each wraps an instance made by the plugin at `path`, so that every call of its interface goes through `guard`, and
// that what methods, step functions, aggregators and metrics return has the shape it must have. What a guarded loader loads, and
// the tokenizer of a guarded model, are guarded too.
std::unique_ptr<ModelLoader> guarded(std::unique_ptr<ModelLoader> loader, const std::string& path);
std::unique_ptr<Method> guarded(std::unique_ptr<Method> method, const std::string& path);
std::unique_ptr<StepFunction> guarded(std::unique_ptr<StepFunction> function, const std::string& path);
std::unique_ptr<Aggregator> guarded(std::unique_ptr<Aggregator> aggregator, const std::string& path);
std::unique_ptr<Renderer> guarded(std::unique_ptr<Renderer> renderer, const std::string& path);
std::unique_ptr<Metric> guarded(std::unique_ptr<Metric> metric, const std::string& path);

}  // namespace whence::host
