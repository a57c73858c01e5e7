#include "viz_file.h"

#include <filesystem>
#include <map>

#include "host/run_directory.h"

namespace whence::cli {

Option viz_option() {
  return {"viz-path", OptionKind::value, {}, "FILE", "show the result in a file, too: .html, .svg or .txt"};
}

std::optional<VizFile> viz_file(const Arguments& arguments) {
  static const std::map<std::string, std::string> kRenderers{
      {".html", "html"}, {".htm", "html"}, {".svg", "svg"}, {".txt", "terminal"}};
  const auto path = arguments.path("viz-path");
  if (!path) return {};
  const std::string suffix = std::filesystem::path(*path).extension().string();
  const auto renderer = kRenderers.find(suffix);
  if (renderer == kRenderers.end())
    throw ConfigError("--viz-path: the name '" + *path + "' ends in " +
                      (suffix.empty() ? "no suffix" : "'" + suffix + "'") +
                      ", which says nothing of the form; expected .html, .svg or .txt");
  host::check_writable(*path);
  return VizFile{*path, {renderer->second, {}, {"--viz-path", 0, 0}}};
}

}  // namespace whence::cli
