#pragma once

#include "host/plugin_host.h"

namespace whence::testing {

/// The plugins of this build.
inline const host::PluginHost& built_plugins() {
  static const host::Catalogue catalogue({WHENCE_BINARY_DIR "/lib/whence/plugins"});
  static const host::PluginHost plugins(catalogue);
  return plugins;
}

inline host::Choice choice(const std::string& name, Value::Map params = {}) {
  return {name, Value(std::move(params)), {}};
}

inline Value text(const std::string& value) { return Value(value); }
inline Value number(std::int64_t value) { return Value(value); }
inline Value span(std::int64_t start, std::int64_t end) { return Value(Value::List{Value(start), Value(end)}); }

}  // namespace whence::testing
