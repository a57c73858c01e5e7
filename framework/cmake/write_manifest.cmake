# Writes the manifest of one plugin library: what the host compares before it opens the library, and all of plugin.yaml.
# cmake -D PLUGIN_YAML=.. -D LIBRARY=.. -D INCLUDE_DIRS=<folders, separated by |> -D BUILD_ID=.. -D VERSION=..
#       -D OUTPUT=.. -P write_manifest.cmake

string(REPLACE "|" ";" include_dirs "${INCLUDE_DIRS}")
foreach(folder IN LISTS include_dirs)
  if(EXISTS ${folder}/whence/plugin.h)
    file(STRINGS ${folder}/whence/plugin.h abi_line REGEX "^#define WHENCE_PLUGIN_ABI [0-9]+")
  endif()
endforeach()
string(REGEX MATCH "[0-9]+$" abi "${abi_line}")
if(NOT abi)
  message(FATAL_ERROR "whence/plugin.h with WHENCE_PLUGIN_ABI not found in: ${INCLUDE_DIRS}")
endif()
file(SHA256 ${LIBRARY} sha256)
file(SIZE ${LIBRARY} size)
get_filename_component(library_name ${LIBRARY} NAME)
file(READ ${PLUGIN_YAML} plugin)
string(REGEX REPLACE "\n([^\n])" "\n  \\1" plugin "${plugin}")
file(WRITE ${OUTPUT}.part "manifest: 1
abi: ${abi}
build_id: \"${BUILD_ID}\"
version: \"${VERSION}\"
library: ${library_name}
size: ${size}
sha256: \"${sha256}\"
plugin:
  ${plugin}")
file(RENAME ${OUTPUT}.part ${OUTPUT})
