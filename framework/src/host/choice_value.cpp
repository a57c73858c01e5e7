#include "host/choice_value.h"

#include "host/checked_value.h"

namespace whence::host {

std::vector<Choice> parse_choices(const Value& value, std::string_view what) {
  std::vector<Choice> choices;
  for (const Value& item : one_or_many(value)) choices.push_back(parse_choice(item, what));
  return choices;
}

Value choice_value(const Choice& choice) {
  if (choice.params.is_null() || choice.params.as_map().empty()) return Value(choice.name);
  return Value(Value::Map{{choice.name, choice.params}});
}

Value choices_value(const std::vector<Choice>& choices) {
  Value::List list;
  for (const Choice& choice : choices) list.push_back(choice_value(choice));
  return Value(std::move(list));
}

void set_param(Choice& choice, const std::string& name, Value value) {
  Value::Map params = choice.params.is_null() ? Value::Map() : choice.params.as_map();
  std::erase_if(params, [&](const auto& param) { return param.first == name; });
  params.emplace_back(name, std::move(value));
  choice.params = Value(std::move(params), choice.params.mark());
}

Choice parse_choice(const Value& value, std::string_view what) {
  Choice choice;
  choice.where = value.mark();
  if (!value.is_map()) {
    if (!value.is_string())
      throw ConfigError(value.mark(), "expected the name of a " + std::string(what) +
                                          " or 'name: {parameter: value}', found " + std::string(value.type_name()));
    choice.name = value.as_string();
    return choice;
  }
  if (value.as_map().size() != 1)
    throw ConfigError(value.mark(), "expected one " + std::string(what) +
                                        " as 'name: {parameter: value}', found a mapping with " +
                                        std::to_string(value.as_map().size()) + " keys; write several as a list");
  const auto& [name, params] = value.as_map().front();
  if (!params.is_null()) params.as_map();
  choice.name = name;
  choice.params = params;
  return choice;
}

Choice parse_choice_with_params(const Value& value, const Value* params, std::string_view what) {
  Choice choice = parse_choice(value, what);
  if (!params || params->is_null()) return choice;
  if (!choice.params.is_null())
    throw ConfigError(params->mark(),
                      "parameters of " + std::string(what) + " '" + choice.name + "' are given twice; keep one place");
  params->as_map();
  choice.params = *params;
  return choice;
}

}  // namespace whence::host
