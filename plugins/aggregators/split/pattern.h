#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "whence/span.h"

/// A compiled regular expression.
class Pattern {
 public:
  /// Throws ConfigError for an expression that is none, with the offset and the library's words.
  explicit Pattern(std::string expression);

  /// Stretches of bytes that match, ascending and without overlap, none of them empty. Throws ConfigError when the
  /// search takes too many steps.
  std::vector<whence::Span> matches(std::string_view text) const;

 private:
  std::string expression_;
  std::shared_ptr<void> code_;
};
