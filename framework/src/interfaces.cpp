// Key functions of the SDK's interfaces: destructors live here so that every type has one type_info and one vtable.
#include "whence/aggregator.h"
#include "whence/backward_rule_check.h"
#include "whence/chat_template.h"
#include "whence/checkpoint_report.h"
#include "whence/context_renderer.h"
#include "whence/contrastive_function.h"
#include "whence/final_states.h"
#include "whence/forward.h"
#include "whence/hidden_reduction.h"
#include "whence/method.h"
#include "whence/metric.h"
#include "whence/model.h"
#include "whence/paired_aggregator.h"
#include "whence/registrar.h"
#include "whence/renderer.h"
#include "whence/step_function.h"
#include "whence/value_zeroing.h"

namespace whence {

Trace::~Trace() = default;

Model::~Model() = default;
Work Model::work() const { return {}; }
const void* Model::query(std::string_view) const { return nullptr; }
ModelLoader::~ModelLoader() = default;
const void* ModelLoader::query(std::string_view) const { return nullptr; }

Method::~Method() = default;
const void* Method::query(std::string_view) const { return nullptr; }

ContextRenderer::~ContextRenderer() = default;

BackwardRuleCheck::~BackwardRuleCheck() = default;

Metric::~Metric() = default;
const void* Metric::query(std::string_view) const { return nullptr; }

StepFunction::~StepFunction() = default;
StepNeeds StepFunction::needs(StepRole) const { return {}; }
const void* StepFunction::query(std::string_view) const { return nullptr; }

ContrastiveFunction::ContrastiveFunction(const Params& params)
    : force_inputs_(params.get<bool>("contrast_force_inputs")),
      fixed_(params.get<std::string>("compat") == "reference") {}
StepNeeds ContrastiveFunction::needs(StepRole role) const {
  return {
      .contrast_ids = true, .contrast_logits = role == StepRole::recorded || force_inputs_, .fixed_contrast = fixed_};
}

Aggregator::~Aggregator() = default;
const void* Aggregator::query(std::string_view) const { return nullptr; }

HiddenReduction::~HiddenReduction() = default;

PairedAggregator::~PairedAggregator() = default;

Renderer::~Renderer() = default;
const void* Renderer::query(std::string_view) const { return nullptr; }

Registrar::~Registrar() = default;

ValueZeroing::~ValueZeroing() = default;

ChatTemplate::~ChatTemplate() = default;

CheckpointExaminer::~CheckpointExaminer() = default;

FinalStates::~FinalStates() = default;

}  // namespace whence
