#pragma once

#include <cstdint>

#include "whence/registrar.h"

/// Raised whenever a header of this SDK changes in a way that makes an older plugin misbehave: a virtual added, removed
/// or reordered, a struct that crosses the boundary changed. Adding a header or a free function does not raise it.
#define WHENCE_PLUGIN_ABI 5

namespace whence {

/// The only symbol a plugin exports, as plain data: the host compares it field by field before it calls anything.
struct PluginDescriptor {
  std::uint64_t magic;   ///< kPluginMagic
  std::uint32_t abi;     ///< WHENCE_PLUGIN_ABI the plugin was compiled with
  std::uint32_t size;    ///< sizeof(PluginDescriptor)
  const char* build_id;  ///< compiler ABI, libtorch version and C++ standard; must equal the host's
  const char* name;      ///< as in plugin.yaml
  const char* version;
  void (*register_plugin)(Registrar&);
};

inline constexpr std::uint64_t kPluginMagic = 0x65636e656877ULL;  // "whence", little endian

}  // namespace whence

/// Defines the descriptor of a plugin library; use once, in one file, at namespace scope, after
/// `void register_plugin(whence::Registrar&)`. WHENCE_BUILD_ID, WHENCE_PLUGIN_NAME and WHENCE_PLUGIN_VERSION come from
/// whence_add_plugin().
#define WHENCE_PLUGIN(register_function)                                                                  \
  extern "C" __attribute__((visibility("default"))) const ::whence::PluginDescriptor whence_plugin_v1 = { \
      ::whence::kPluginMagic, WHENCE_PLUGIN_ABI,  sizeof(::whence::PluginDescriptor),                     \
      WHENCE_BUILD_ID,        WHENCE_PLUGIN_NAME, WHENCE_PLUGIN_VERSION,                                  \
      register_function};
