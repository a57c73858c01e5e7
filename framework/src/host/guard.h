#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

#include "whence/error.h"

namespace whence::host {

/// Calls into a plugin: `fn()`, with whatever it throws turned into a whence::Error whose text is ours. Errors of that
/// type pass through with their exit status; everything else becomes a PluginError of the plugin at `path`.
template <class Fn>
decltype(auto) guard(const std::string& path, const char* stage, Fn&& fn) {
  const auto fail = [&](const std::string& text) {
    throw PluginError(path, stage,
                      "threw at stage '" + std::string(stage) + "': " + text + "; report this to the plugin's author");
  };
  try {
    return fn();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    fail(error.what_without_backtrace());
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("something that is no std::exception");
  }
  // `fail` always throws; the compiler cannot know.
  __builtin_unreachable();
}

/// `fn()`; errors about a choice or a text that name no place in a file get `where` and `what` put before them.
template <class Fn>
decltype(auto) with_place(const Mark& where, const std::string& what, Fn&& fn) {
  const std::string place = where.text();
  const std::string before = (place.empty() ? "" : place + ": ") + what + ": ";
  try {
    return fn();
  } catch (const ConfigError& error) {
    if (!error.where().file.empty()) throw;
    throw ConfigError(before + error.what());
  } catch (const InputError& error) {
    throw InputError(before + error.what());
  }
}

}  // namespace whence::host
