#include "module_names.h"

#include <algorithm>

namespace whence::transformer {
namespace {

constexpr std::string_view kLayer = ".{layer}";

void add(std::vector<std::string>& names, std::string name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
}

}  // namespace

ModuleNames module_names(const Architecture& architecture) {
  ModuleNames result;
  for (const auto& [_, format] : architecture.weights)
    for (const auto& [role, names] : format.names)
      for (const std::string& name : names) {
        const bool encoder = role.starts_with("encoder.");
        if (role.ends_with("embedding")) add(result.embeddings, name);
        if (const std::size_t end = name.find(kLayer); end != std::string::npos)
          add(encoder ? result.encoder_blocks : result.decoder_blocks, name.substr(0, end));
      }
  return result;
}

}  // namespace whence::transformer
