#pragma once

#include <string>

#include "host/manifest.h"
#include "support/temporary_folder.h"

namespace whence::testing {

/// A manifest of the method `name` as the build would write it for a library of 4 bytes; `declaration` is more of
/// plugin.yaml, indented by two.
inline std::string manifest_text(const std::string& name, const std::string& declaration = "") {
  return "manifest: 1\nabi: 5\nbuild_id: \"" + std::string(host::host_build_id()) +
         "\"\nversion: \"1.2.3\"\nlibrary: method." + name +
         ".wplugin\nsize: 4\nsha256: \"00\"\nplugin:\n  kind: method\n  name: " + name + "\n  summary: For tests\n" +
         declaration;
}

/// Writes that manifest and a library of 4 bytes; returns the manifest's path.
inline std::filesystem::path add_plugin(const TemporaryFolder& folder, const std::string& name,
                                        const std::string& declaration = "", const std::string& subfolder = ".") {
  folder.write(subfolder + "/method." + name + ".wplugin", "1234");
  return (folder.write(subfolder + "/method." + name + ".manifest.yaml", manifest_text(name, declaration)))
      .lexically_normal();
}

}  // namespace whence::testing
