#pragma once

#include <string_view>
#include <vector>

#include "host/param_check.h"

namespace whence::host {

/// Gives a choice a parameter, in place of one of that name.
void set_param(Choice& choice, const std::string& name, Value value);

/// A plugin as users write it: `name`, or `name: {parameter: value}`.
Choice parse_choice(const Value& value, std::string_view what);
/// As `parse_choice`; its parameters may also stand beside it: `params`, or null.
Choice parse_choice_with_params(const Value& value, const Value* params, std::string_view what);
/// One plugin or several as users write them: a name, `name: {parameter: value}`, or a list of these.
std::vector<Choice> parse_choices(const Value& value, std::string_view what);
/// As `parse_choice` and `parse_choices` read them.
Value choice_value(const Choice& choice);
Value choices_value(const std::vector<Choice>& choices);

}  // namespace whence::host
