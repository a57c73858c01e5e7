#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "whence/model.h"

namespace whence::bench {

/// Reads a request from every line of standard input and writes a line with its answer to standard output. What
/// `answer` throws becomes {"error": text}: whoever asked decides what that means.
void answer_requests(const std::function<nlohmann::json(const std::string& request)>& answer);

nlohmann::json to_json(const ModelInfo& info);
/// What was done between two counts.
nlohmann::json to_json(const Work& before, const Work& after);

}  // namespace whence::bench
