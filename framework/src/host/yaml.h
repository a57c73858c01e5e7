#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "whence/value.h"

namespace whence::host {

/// Parses one YAML document (core schema: null, booleans, integers, floats, text). Throws ConfigError with
/// file:line:column for syntax errors, duplicate keys, anchors nested without end, and files over 16 MiB; InputError
/// never.
Value parse_yaml(std::string_view text, const std::string& file);
/// Throws ConfigError when the file cannot be read.
Value load_yaml(const std::filesystem::path& path);
/// Writes a value as YAML that parses back to an equal value.
std::string to_yaml(const Value& value);

}  // namespace whence::host
