#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "whence/value.h"

namespace whence::host {

/// The integer under `key`. Throws ConfigError at its place unless it is from `least` to `most`.
std::int64_t integer_from(const Value& value, std::string_view key, std::int64_t least,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// The text, a `what`. Throws UnknownName at its place unless it is one of `known`.
const std::string& name_from(const Value& value, std::string_view what, const std::vector<std::string>& known);

/// The text under `key`, which names files: letters, digits, '-', '_' and '.', nothing hidden, at most 64 of them.
/// Throws ConfigError at its place.
const std::string& file_name_from(const Value& value, std::string_view key);

/// The items of a list, or the one value that stands for it.
std::vector<Value> one_or_many(const Value& value);

}  // namespace whence::host
