#pragma once

#include <string>
#include <vector>

#include "case_data.h"

namespace whence::parity {

/// A part that cases need and that does not exist yet.
struct Missing {
  std::string what;  ///< "model", "method", "attributed function", "step score" or "aggregator"
  std::string name;
};

/// Everything that keeps cases from being run; nothing else may.
const std::vector<Missing>& missing_parts();

/// What a case lacks; empty: it is run. A missing step score keeps no case from being run, only that score is left out.
std::vector<Missing> lacks(const Case& one);
/// The step scores of a case that exist.
std::vector<std::string> known_step_scores(const Case& one);
/// The step scores that our method adds and the reference doesn't have.
std::vector<std::string> own_step_scores(const Case& one);
/// Names of the stages of an aggregate case; empty for the default chain.
std::vector<std::string> aggregator_names(const Case& one);

std::vector<Case> cases_to_attribute();
std::vector<Case> cases_to_aggregate();

}  // namespace whence::parity
