#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/context_spec.h"
#include "whence/span.h"

namespace whence::host {

/// A text with the places of what was put into it, in bytes.
struct FilledText {
  std::string text;
  std::optional<Span> context;  ///< absent where the template has none
  Span current;
};

/// A template that holds {current} once and {context} at most once.
class ParsedTemplate {
 public:
  /// `title` is what errors call it, as "input template". Throws UnknownName for other names in braces, ConfigError for
  /// a template without {current}, with a name twice, or with a brace that stands alone.
  ParsedTemplate(const ContextTemplate& given, const std::string& title);

  const ContextTemplate& given() const { return given_; }
  bool has_context() const { return count(Slot::context) > 0; }
  bool context_comes_first() const { return !slots_.empty() && slots_.front() == Slot::context; }
  FilledText filled(const std::string& context, const std::string& current) const;

  /// What stands before everything that is put in, between, and behind it.
  const std::string& prefix() const { return literals_.front(); }
  const std::string& between() const { return literals_.at(1); }
  const std::string& suffix() const { return literals_.back(); }

 private:
  enum class Slot { context, current };
  std::ptrdiff_t count(Slot slot) const;

  ContextTemplate given_;
  std::vector<std::string> literals_{""};  ///< around the slots: one more than these
  std::vector<Slot> slots_;
};

/// The templates of a text, with the defaults that its contexts decide. A context that no template has room for is
/// taken for none.
struct ContextTemplates {
  ParsedTemplate input, output, contextless_input, contextless_output;
};

/// Throws what ParsedTemplate throws; ConfigError for an output template with {context} behind {current}, and for
/// contextless templates that have it.
ContextTemplates parse_templates(const ContextInput& input, const ContextSpec& spec);

}  // namespace whence::host
