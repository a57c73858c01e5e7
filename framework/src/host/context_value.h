#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/context_spec.h"
#include "whence/value.h"

namespace whence::host {

/// The keys that `parse_context_spec` reads (docs/experiment-yaml.md).
const std::vector<std::string>& context_keys();

/// What a mapping says under these keys. Nobody can be asked, so an output context that is not given is found by `auto`
/// unless it says otherwise. The one file that can be named is that of `sensitivity.alignment.model`; it is relative to
/// `base`. Throws ConfigError and UnknownName with the place.
ContextSpec parse_context_spec(const Value& value, const std::filesystem::path& base);
/// What `parse_context_spec` reads as this.
Value::Map context_value(const ContextSpec& spec);

/// A text, or a mapping with `current`, `context` or `documents`, and what else docs/experiment-yaml.md lists. `id` is
/// empty where it gives none. Throws ConfigError and UnknownName with the place.
ContextInput parse_context_input(const Value& value);
/// A list of {name, text}.
Value documents_value(const std::vector<ContextDocument>& documents);
/// What `parse_context_input` reads as this.
Value context_input_value(const ContextInput& input);

/// `context:` of an experiment: its texts and how their reliance on context is found. Texts without an id get their
/// index, and ids name files. Throws ConfigError and UnknownName with the place.
void parse_context(const Value& value, const std::filesystem::path& base, ContextSpec& spec,
                   std::vector<ContextInput>& inputs);

}  // namespace whence::host
