#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "whence/attribution_output.h"

namespace whence::parity {

using nlohmann::json;

/// One stored case: what was asked of the reference toolkit.
struct Case {
  std::string id, kind, model, method;
  json data;  ///< the whole case.json

  /// Member of case.json, or null when it is absent.
  const json& at(const char* key) const;
  std::string attributed_function() const;
  std::vector<std::string> step_scores() const;
};

/// Every stored case, sorted by id.
const std::vector<Case>& all_cases();
const Case& find_case(const std::string& id);
/// expected.json, plain or gzipped.
json load_expected(const Case& one);

/// Nested lists of numbers as a tensor, null as NaN; null as an undefined tensor.
Tensor to_tensor(const json& numbers);
/// One expected sequence with everything it stores.
SequenceAttribution to_sequence(const json& expected, const std::string& method);

/// For gtest's names.
inline std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.id; }
std::string test_name(const std::string& id);

}  // namespace whence::parity
