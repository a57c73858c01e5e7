#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "host/model_examination.h"

namespace whence::cli {

/// What `doctor` says of a checkpoint, for people and as JSON. The first shortens long lists of problems.
std::string checkpoint_text(const host::ExaminedModel& model);
nlohmann::ordered_json checkpoint_json(const host::ExaminedModel& model);

}  // namespace whence::cli
