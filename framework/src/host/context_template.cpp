#include "host/context_template.h"

#include <algorithm>

namespace whence::host {

ParsedTemplate::ParsedTemplate(const ContextTemplate& given, const std::string& title) : given_(given) {
  const std::string named = "the " + title + " '" + given.text + "'";
  const std::string& text = given.text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      literals_.back() += c;
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == c) {
      literals_.back() += c;
      ++i;
      continue;
    }
    const std::size_t end = c == '{' ? text.find('}', i) : std::string::npos;
    if (end == std::string::npos)
      throw ConfigError(given.where, named + " has a '" + c + "' that stands alone; write it twice for a brace");
    const std::string name = text.substr(i + 1, end - i - 1);
    if (name != "context" && name != "current")
      throw UnknownName(given.where, "placeholder of " + named, name, {"context", "current"});
    const Slot slot = name == "context" ? Slot::context : Slot::current;
    if (count(slot) > 0)
      throw ConfigError(given.where,
                        named + " has {" + name + "} twice; tokens are attributed to one of them, so keep one");
    slots_.push_back(slot);
    literals_.emplace_back();
    i = end;
  }
  if (count(Slot::current) == 0)
    throw ConfigError(given.where, named + " has no {current}; expected it where the current text goes");
}

std::ptrdiff_t ParsedTemplate::count(Slot slot) const { return std::ranges::count(slots_, slot); }

FilledText ParsedTemplate::filled(const std::string& context, const std::string& current) const {
  FilledText filled{.text = literals_.front(), .context = {}, .current = {}};
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto start = std::ssize(filled.text);
    filled.text += slots_[i] == Slot::context ? context : current;
    const Span span{start, std::ssize(filled.text)};
    if (slots_[i] == Slot::context)
      filled.context = span;
    else
      filled.current = span;
    filled.text += literals_[i + 1];
  }
  return filled;
}

ContextTemplates parse_templates(const ContextInput& input, const ContextSpec& spec) {
  const auto parsed = [](const std::optional<ContextTemplate>& given, bool has_context, const std::string& title) {
    const ContextTemplate usual{has_context ? "{context} {current}" : "{current}", {}};
    return ParsedTemplate(given.value_or(usual), title);
  };
  ContextTemplates templates{
      parsed(spec.input_template, input.input_context.has_value() || !input.documents.empty(), "input template"),
      parsed(spec.output_template, input.output_context.has_value(), "output template"),
      ParsedTemplate(spec.contextless_input, "contextless input template"),
      ParsedTemplate(spec.contextless_output, "contextless output template")};
  if (templates.output.has_context() && !templates.output.context_comes_first())
    throw ConfigError(templates.output.given().where,
                      "the output template '" + templates.output.given().text +
                          "' has {context} behind {current}; what context an output has comes before it, so expected "
                          "{context} first");
  for (const ParsedTemplate* contextless : {&templates.contextless_input, &templates.contextless_output})
    if (contextless->has_context())
      throw ConfigError(contextless->given().where, "the contextless template '" + contextless->given().text +
                                                        "' has {context}; it is what is read without one, so leave "
                                                        "{context} out");
  return templates;
}

}  // namespace whence::host
