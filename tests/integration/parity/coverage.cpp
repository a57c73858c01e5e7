#include "coverage.h"

#include <algorithm>

namespace whence::parity {
namespace {

bool is_missing(const std::string& what, const std::string& name) {
  const auto& parts = missing_parts();
  return std::any_of(parts.begin(), parts.end(),
                     [&](const Missing& part) { return part.what == what && part.name == name; });
}

std::vector<Case> complete_cases(bool aggregate) {
  std::vector<Case> cases;
  for (const Case& one : all_cases())
    if ((one.kind == "aggregate") == aggregate && lacks(one).empty()) cases.push_back(one);
  return cases;
}

}  // namespace

const std::vector<Missing>& missing_parts() {
  static const std::vector<Missing> parts;  // none: every case is run
  return parts;
}

std::vector<std::string> aggregator_names(const Case& one) {
  const json& stages = one.at("aggregate").at("aggregator");
  if (stages.is_null()) return {};
  if (stages.is_string()) return {stages.get<std::string>()};
  std::vector<std::string> names;
  for (const json& stage : stages) names.push_back(stage.is_array() ? stage.at(0) : stage);
  return names;
}

std::vector<Missing> lacks(const Case& one) {
  std::vector<Missing> wanted;
  if (one.kind == "aggregate") {
    // Aggregations start from attributions that another case stores, so they need neither the model nor the method.
    for (const std::string& name : aggregator_names(one)) wanted.push_back({"aggregator", name});
  } else {
    wanted = {{"model", one.model}, {"method", one.method}, {"attributed function", one.attributed_function()}};
  }
  std::erase_if(wanted, [](const Missing& part) { return !is_missing(part.what, part.name); });
  return wanted;
}

std::vector<std::string> known_step_scores(const Case& one) {
  std::vector<std::string> names = one.step_scores();
  std::erase_if(names, [](const std::string& name) { return is_missing("step score", name); });
  return names;
}

std::vector<std::string> own_step_scores(const Case& one) {
  if (one.method == "integrated_gradients" || one.method == "sequential_integrated_gradients")
    return {"completeness_gap", "error_estimate"};
  if (one.method == "deeplift" || one.method == "discretized_integrated_gradients") return {"completeness_gap"};
  return {};
}

std::vector<Case> cases_to_attribute() { return complete_cases(false); }
std::vector<Case> cases_to_aggregate() { return complete_cases(true); }

}  // namespace whence::parity
