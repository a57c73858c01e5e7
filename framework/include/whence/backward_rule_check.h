#pragma once

#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/forward.h"

namespace whence {

/// Optional power of a model: it says before any pass which backward rules it cannot follow.
class WHENCE_API BackwardRuleCheck {
 public:
  static constexpr std::string_view kCapability = "backward_rule_check/1";

  virtual ~BackwardRuleCheck();
  /// Throws what `Model::pull_back` throws for these rules, a missing reference aside. [thread: any]
  virtual void check_rules(const std::vector<BackwardRule>& rules) const = 0;
};

}  // namespace whence
