#include "host/plugin_library.h"

#include <algorithm>
#include <boost/dll/library_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <utility>

#include "host/checksum.h"
#include "host/guard.h"
#include "host/manifest.h"
#include "host/param_check.h"
#include "whence/plugin.h"

namespace whence::host {
namespace {

constexpr const char* kDescriptorSymbol = "whence_plugin_v1";

/// Takes what one library registers; anything but the plugin of its manifest is refused.
class CollectingRegistrar final : public Registrar {
 public:
  CollectingRegistrar(const PluginInfo& plugin, Factories& factories) : plugin_(plugin), factories_(factories) {}

  void add_model(const std::string& name, Factory<ModelLoader> factory) override {
    add(PluginKind::model, name, std::move(factory));
  }
  void add_method(const std::string& name, Factory<Method> factory) override {
    add(PluginKind::method, name, std::move(factory));
  }
  void add_step_function(const std::string& name, Factory<StepFunction> factory) override {
    add(PluginKind::step_function, name, std::move(factory));
  }
  void add_aggregator(const std::string& name, Factory<Aggregator> factory) override {
    add(PluginKind::aggregator, name, std::move(factory));
  }
  void add_renderer(const std::string& name, Factory<Renderer> factory) override {
    add(PluginKind::renderer, name, std::move(factory));
  }
  void add_metric(const std::string& name, Factory<Metric> factory) override {
    add(PluginKind::metric, name, std::move(factory));
  }

 private:
  template <class Interface>
  void add(PluginKind kind, const std::string& name, Factory<Interface> factory) {
    const std::string title = plugin_title(kind, name);
    if (kind != plugin_.kind || name != plugin_.name)
      fail("registers " + title + ", its manifest declares " + plugin_title(plugin_.kind, plugin_.name) +
           "; make code and plugin.yaml agree");
    if (!factory) fail("registers " + title + " without a factory; pass a function that makes it");
    auto& slot = std::get<Factory<Interface>>(factories_);
    if (slot) fail("registers " + title + " twice; remove one of the two");
    slot = std::move(factory);
  }

  [[noreturn]] void fail(const std::string& text) const {
    throw PluginError(plugin_.library.string(), "register", text);
  }

  const PluginInfo& plugin_;
  Factories& factories_;
};

/// The part of an error of Boost.DLL that says something: what dlerror() reported, without the path.
std::string dlerror_text(const std::string& what, const std::string& path) {
  constexpr std::string_view kBefore = "dlerror system message: ";
  const std::size_t start = what.find(kBefore);
  if (start == std::string::npos) return what;
  std::string text = what.substr(start + kBefore.size());
  if (const std::size_t end = text.rfind("): "); end != std::string::npos) text.resize(end);
  if (text.starts_with(path + ": ")) text.erase(0, path.size() + 2);
  return text;
}

/// A damaged file can end the process while it is being opened, so a library must be the very bytes its manifest was
/// written for.
void compare_with_manifest(const PluginInfo& plugin) {
  const auto fail = [&](const std::string& text) {
    throw PluginError(plugin.library.string(), "manifest", text + "; build or install the plugin again");
  };
  std::error_code failure;
  const std::uintmax_t size = std::filesystem::file_size(plugin.library, failure);
  if (failure) fail("cannot be read: " + failure.message());
  if (size != plugin.size)
    fail("has " + std::to_string(size) + " bytes, its manifest says " + std::to_string(plugin.size));
  std::string sha256;
  try {
    sha256 = sha256_of_file(plugin.library);
  } catch (const InputError&) {
    fail("cannot be read");
  }
  if (sha256 != plugin.sha256) fail("SHA-256 is " + sha256 + ", its manifest says " + plugin.sha256);
}

std::string text_or_empty(const char* text) { return text ? text : ""; }

/// Field by field, each only once those before it are right: they say whether it can be read at all.
void check_descriptor(const PluginDescriptor& descriptor, const PluginInfo& plugin) {
  const auto fail = [&](const std::string& text) { throw PluginError(plugin.library.string(), "descriptor", text); };
  if (descriptor.magic != kPluginMagic) {
    std::ostringstream text;
    text << kDescriptorSymbol << " starts with " << std::hex << std::showbase << descriptor.magic << ", expected "
         << kPluginMagic << "; define it with WHENCE_PLUGIN()";
    fail(text.str());
  }
  if (const std::string text = abi_problem(descriptor.abi); !text.empty()) fail(text);
  if (descriptor.size != sizeof(PluginDescriptor))
    fail("descriptor has " + std::to_string(descriptor.size) + " bytes, this host's " +
         std::to_string(sizeof(PluginDescriptor)) + "; rebuild the plugin");
  if (const std::string text = build_id_problem(text_or_empty(descriptor.build_id)); !text.empty()) fail(text);
  if (const std::string name = text_or_empty(descriptor.name); name != plugin.name)
    fail("is named '" + name + "', its manifest says '" + plugin.name +
         "'; make NAME of whence_add_plugin() and plugin.yaml agree");
  if (!descriptor.register_plugin) fail("descriptor without a register function; pass one to WHENCE_PLUGIN()");
}

void register_factories(const PluginDescriptor& descriptor, const PluginInfo& plugin, Factories& factories) {
  CollectingRegistrar registrar(plugin, factories);
  guard(plugin.library.string(), "register", [&] { descriptor.register_plugin(registrar); });
  if (!std::apply([](const auto&... factory) { return (bool(factory) || ...); }, factories))
    throw PluginError(plugin.library.string(), "register",
                      "registers nothing, its manifest declares " + plugin_title(plugin.kind, plugin.name) +
                          "; add it in the register function");
}

/// Libraries by path and checksum. Neither it nor any handle in it is ever destroyed: exceptions, vtables and autograd
/// nodes of a plugin may outlive whatever could be counted.
struct OpenLibraries {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, Factories> ready;
  std::vector<std::unique_ptr<boost::dll::shared_library>> handles;
};

OpenLibraries& open_libraries() {
  static auto* const libraries = new OpenLibraries;
  return *libraries;
}

}  // namespace

const Factories& open_library(const PluginInfo& plugin) {
  if (!plugin.problem.empty()) throw PluginError("", "manifest", plugin.problem);
  const std::string path = plugin.library.string();
  OpenLibraries& libraries = open_libraries();
  const std::lock_guard lock(libraries.mutex);
  const std::pair key(path, plugin.sha256);
  if (const auto found = libraries.ready.find(key); found != libraries.ready.end()) return found->second;

  compare_with_manifest(plugin);
  auto handle = std::make_unique<boost::dll::shared_library>();
  try {
    handle->load(plugin.library, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    throw PluginError(path, "open", "cannot be opened: " + dlerror_text(error.what(), path) + "; rebuild the plugin");
  }
  // Kept whatever comes next: code of the library may have run already.
  const auto& library = *libraries.handles.emplace_back(std::move(handle));
  if (!library.has(kDescriptorSymbol))
    throw PluginError(
        path, "descriptor",
        "has no entry " + std::string(kDescriptorSymbol) + "; put WHENCE_PLUGIN() into one of its source files");
  const auto& descriptor = library.get<const PluginDescriptor>(kDescriptorSymbol);
  check_descriptor(descriptor, plugin);
  Factories factories;
  register_factories(descriptor, plugin, factories);
  return libraries.ready.emplace(key, std::move(factories)).first->second;
}

void check_exports(const PluginInfo& plugin) {
  auto symbols = boost::dll::library_info(plugin.library).symbols();
  std::erase_if(symbols, [](const std::string& symbol) { return symbol.empty() || symbol == kDescriptorSymbol; });
  if (symbols.empty()) return;
  const std::string more = symbols.size() > 1 ? " and " + std::to_string(symbols.size() - 1) + " more" : "";
  throw PluginError(plugin.library.string(), "descriptor",
                    "exports '" + symbols.front() + "'" + more + ", expected " + kDescriptorSymbol +
                        " alone; build it with whence_add_plugin()");
}

}  // namespace whence::host
