# whence_add_plugin(NAME name KIND kind SOURCES ... [LIBRARIES ...] [VERSION x.y.z] [DECLARATION file] [DESTINATION dir]
#                   [FIXTURE])
#
# Builds one plugin library, writes the manifest beside it, installs both and registers a conformance test. KIND is
# model, method, step_function, aggregator, renderer or metric. The same call serves inside and outside this project.
#
# VERSION      default: that of the calling project
# DECLARATION  default: plugin.yaml in the calling folder
# DESTINATION  install folder; default: the plugin folder of the whence that is built or was found
# FIXTURE      neither installed nor tested: for tests that need a plugin, or a broken one
# Targets      whence_<kind>_<name>, and whence_plugins for all that are no fixtures
# Output       <kind>.<name>.wplugin and <kind>.<name>.manifest.yaml in ${WHENCE_PLUGIN_OUTPUT_DIR}, which is the folder
#              plugins of the build tree where the calling project has not set it

set(WHENCE_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

# What must be equal for C++ objects to cross the boundary: compiler, its C++ library, libtorch and the standard.
function(whence_build_id variable)
  string(REGEX MATCH "^[0-9]+" compiler_major "${CMAKE_CXX_COMPILER_VERSION}")
  set(${variable}
      "${CMAKE_CXX_COMPILER_ID}-${compiler_major} ${CMAKE_SYSTEM_PROCESSOR} c++20 libtorch-${Libtorch_VERSION}"
      PARENT_SCOPE)
endfunction()

# Sets `variable` to the command that writes the manifest of the plugin `target` for the library at `library`.
function(_whence_manifest_command variable target library manifest)
  get_target_property(declaration ${target} WHENCE_DECLARATION)
  get_target_property(version ${target} WHENCE_VERSION)
  whence_build_id(build_id)
  set(${variable}
      ${CMAKE_COMMAND}
      -D "PLUGIN_YAML=${declaration}"
      -D "LIBRARY=${library}"
      -D "INCLUDE_DIRS=$<JOIN:$<TARGET_PROPERTY:whence::framework,INTERFACE_INCLUDE_DIRECTORIES>,|>"
      -D "BUILD_ID=${build_id}"
      -D "VERSION=${version}"
      -D "OUTPUT=${manifest}"
      -P "${WHENCE_CMAKE_DIR}/write_manifest.cmake"
      PARENT_SCOPE)
endfunction()

function(_whence_install_plugin target file destination)
  install(TARGETS ${target} LIBRARY DESTINATION ${destination})
  # What installing makes of a file (cmake --install --strip) has a checksum of its own.
  cmake_path(IS_ABSOLUTE destination is_absolute)
  if(is_absolute)
    set(installed "\$ENV{DESTDIR}${destination}/${file}")
  else()
    set(installed "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${destination}/${file}")
  endif()
  _whence_manifest_command(command ${target} ${installed}.wplugin ${installed}.manifest.yaml)
  list(JOIN command "\" \"" command)
  install(CODE "execute_process(COMMAND \"${command}\" COMMAND_ERROR_IS_FATAL ANY)")
endfunction()

function(whence_add_plugin)
  cmake_parse_arguments(arg "FIXTURE" "NAME;KIND;VERSION;DECLARATION;DESTINATION" "SOURCES;LIBRARIES" ${ARGN})
  set(kinds model method step_function aggregator renderer metric)
  if(NOT arg_KIND IN_LIST kinds)
    message(FATAL_ERROR "whence_add_plugin: KIND '${arg_KIND}' is none of ${kinds}")
  endif()
  if(NOT arg_VERSION)
    set(arg_VERSION ${PROJECT_VERSION})
  endif()
  if(NOT arg_DECLARATION)
    set(arg_DECLARATION plugin.yaml)
  endif()
  cmake_path(ABSOLUTE_PATH arg_DECLARATION)
  if(NOT arg_DESTINATION)
    set(arg_DESTINATION ${WHENCE_PLUGIN_INSTALL_DIR})
  endif()
  if(NOT WHENCE_PLUGIN_OUTPUT_DIR)
    set(WHENCE_PLUGIN_OUTPUT_DIR ${CMAKE_BINARY_DIR}/plugins)
  endif()
  whence_build_id(build_id)
  set(target whence_${arg_KIND}_${arg_NAME})
  set(file ${arg_KIND}.${arg_NAME})

  set(link_inputs ${WHENCE_CMAKE_DIR}/plugin_exports.map ${WHENCE_CMAKE_DIR}/write_manifest.cmake ${arg_DECLARATION})

  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE whence::framework ${arg_LIBRARIES})
  target_compile_definitions(${target} PRIVATE WHENCE_BUILD_ID="${build_id}" WHENCE_PLUGIN_NAME="${arg_NAME}"
                                               WHENCE_PLUGIN_VERSION="${arg_VERSION}")
  set_target_properties(
    ${target}
    PROPERTIES PREFIX "" SUFFIX ".wplugin" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY ${WHENCE_PLUGIN_OUTPUT_DIR}
               CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
               LINK_DEPENDS "${link_inputs}"
               # Else CMake pads the run path with colons, and the loader looks into the working directory.
               INSTALL_RPATH_USE_LINK_PATH ON BUILD_WITH_INSTALL_RPATH ON
               WHENCE_DECLARATION ${arg_DECLARATION} WHENCE_VERSION "${arg_VERSION}")
  # Exceptions, vtables and autograd nodes of a plugin outlive every handle to it, so it is never unloaded; nothing but
  # the descriptor is exported, and nothing may stay undefined.
  target_link_options(${target} PRIVATE -Wl,-z,nodelete -Wl,--version-script=${WHENCE_CMAKE_DIR}/plugin_exports.map)
  if(NOT WHENCE_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  if(COMMAND whence_use_pch)
    whence_use_pch(${target})
  endif()

  # Part of the link step, so that there is never a library with the manifest of an older one.
  set(manifest ${WHENCE_PLUGIN_OUTPUT_DIR}/${file}.manifest.yaml)
  _whence_manifest_command(command ${target} $<TARGET_FILE:${target}> ${manifest})
  add_custom_command(TARGET ${target} POST_BUILD COMMAND ${command} BYPRODUCTS ${manifest} VERBATIM)

  if(NOT arg_FIXTURE)
    if(NOT TARGET whence_plugins)
      add_custom_target(whence_plugins)
    endif()
    add_dependencies(whence_plugins ${target})
    _whence_install_plugin(${target} ${file} ${arg_DESTINATION})
    if(TARGET whence::whence)
      add_test(NAME conformance.${file} COMMAND $<TARGET_FILE:whence::whence> doctor --plugin ${manifest})
    endif()
  endif()
endfunction()
