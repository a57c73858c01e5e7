#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "host/run.h"

namespace whence::cli {

/// What attributions took, and what model and process hold, as text and as JSON. `model` is null when nothing was
/// loaded, as for a stored run.
std::string stats_text(const std::vector<host::NamedOutput>& outputs, const ModelInfo* model);
nlohmann::ordered_json stats_json(const std::vector<host::NamedOutput>& outputs, const ModelInfo* model);

/// What attributions will take.
std::string plan_text(const host::RunPlan& plan);
nlohmann::ordered_json plan_json(const host::RunPlan& plan);

}  // namespace whence::cli
