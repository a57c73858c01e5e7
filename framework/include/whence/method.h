#pragma once

#include <string_view>

#include "whence/attribution.h"
#include "whence/export.h"
#include "whence/problem.h"

namespace whence {

/// An attribution method. Immutable after construction: one instance serves any number of problems.
class WHENCE_API Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method();

  /// [shape: see Attribution] [grad: off] [thread: one per problem]
  virtual Attribution attribute(const Problem& problem) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
