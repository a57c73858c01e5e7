# whence_add_plugin(NAME name KIND kind SOURCES ... [LIBRARIES ...] [VERSION x.y.z] [DESTINATION dir])
#
# Builds one plugin library from the folder that holds its plugin.yaml, writes the manifest beside it, installs both and
# registers a conformance test. KIND is model, method, step_function, aggregator or renderer. The same call serves inside and
# outside this project.
#
# DESTINATION  install folder; default: the plugin folder of the whence that is built or was found
# Output       <kind>.<name>.wplugin and <kind>.<name>.manifest.yaml in ${WHENCE_PLUGIN_OUTPUT_DIR}

set(WHENCE_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

# What must be equal for C++ objects to cross the boundary: compiler, its C++ library, libtorch and the standard.
function(whence_build_id variable)
  string(REGEX MATCH "^[0-9]+" compiler_major "${CMAKE_CXX_COMPILER_VERSION}")
  set(${variable}
      "${CMAKE_CXX_COMPILER_ID}-${compiler_major} ${CMAKE_SYSTEM_PROCESSOR} c++20 libtorch-${Libtorch_VERSION}"
      PARENT_SCOPE)
endfunction()

function(whence_add_plugin)
  cmake_parse_arguments(arg "" "NAME;KIND;VERSION;DESTINATION" "SOURCES;LIBRARIES" ${ARGN})
  set(kinds model method step_function aggregator renderer)
  if(NOT arg_KIND IN_LIST kinds)
    message(FATAL_ERROR "whence_add_plugin: KIND '${arg_KIND}' is none of ${kinds}")
  endif()
  if(NOT arg_VERSION)
    set(arg_VERSION ${PROJECT_VERSION})
  endif()
  if(NOT arg_DESTINATION)
    set(arg_DESTINATION ${WHENCE_PLUGIN_INSTALL_DIR})
  endif()
  if(NOT WHENCE_PLUGIN_OUTPUT_DIR)
    set(WHENCE_PLUGIN_OUTPUT_DIR ${CMAKE_BINARY_DIR}/plugins)
  endif()
  whence_build_id(build_id)
  set(target whence_${arg_KIND}_${arg_NAME})
  set(file ${arg_KIND}.${arg_NAME})
  set(manifest ${WHENCE_PLUGIN_OUTPUT_DIR}/${file}.manifest.yaml)

  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE whence::framework ${arg_LIBRARIES})
  target_compile_definitions(${target} PRIVATE WHENCE_BUILD_ID="${build_id}" WHENCE_PLUGIN_NAME="${arg_NAME}"
                                               WHENCE_PLUGIN_VERSION="${arg_VERSION}")
  set_target_properties(
    ${target}
    PROPERTIES PREFIX "" SUFFIX ".wplugin" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY ${WHENCE_PLUGIN_OUTPUT_DIR}
               CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LINK_DEPENDS ${WHENCE_CMAKE_DIR}/plugin_exports.map
               INSTALL_RPATH_USE_LINK_PATH ON)
  # Exceptions, vtables and autograd nodes of a plugin outlive every handle to it, so it is never unloaded; nothing but the
  # descriptor is exported, and nothing may stay undefined.
  target_link_options(${target} PRIVATE -Wl,-z,nodelete -Wl,--version-script=${WHENCE_CMAKE_DIR}/plugin_exports.map)
  if(NOT WHENCE_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  if(COMMAND whence_use_pch)
    whence_use_pch(${target})
  endif()

  add_custom_command(
    OUTPUT ${manifest}
    COMMAND
      ${CMAKE_COMMAND} -D PLUGIN_YAML=${CMAKE_CURRENT_SOURCE_DIR}/plugin.yaml -D LIBRARY=$<TARGET_FILE:${target}> -D
      ABI_HEADER=$<JOIN:$<TARGET_PROPERTY:whence::framework,INTERFACE_INCLUDE_DIRECTORIES>,$<SEMICOLON>> -D
      BUILD_ID=${build_id} -D VERSION=${arg_VERSION} -D OUTPUT=${manifest} -P ${WHENCE_CMAKE_DIR}/write_manifest.cmake
    DEPENDS ${target} ${CMAKE_CURRENT_SOURCE_DIR}/plugin.yaml ${WHENCE_CMAKE_DIR}/write_manifest.cmake
    VERBATIM)
  add_custom_target(${target}_manifest ALL DEPENDS ${manifest})

  install(TARGETS ${target} LIBRARY DESTINATION ${arg_DESTINATION})
  # The run path is rewritten while installing, so the checksum of the installed file is another one.
  install(
    CODE "
    execute_process(
      COMMAND \"${CMAKE_COMMAND}\" -D \"PLUGIN_YAML=${CMAKE_CURRENT_SOURCE_DIR}/plugin.yaml\"
        -D \"LIBRARY=\$ENV{DESTDIR}$<IF:$<BOOL:$<PATH:IS_ABSOLUTE,${arg_DESTINATION}>>,,\${CMAKE_INSTALL_PREFIX}/>${arg_DESTINATION}/${file}.wplugin\"
        -D \"ABI_HEADER=$<JOIN:$<TARGET_PROPERTY:whence::framework,INTERFACE_INCLUDE_DIRECTORIES>,;>\"
        -D \"BUILD_ID=${build_id}\" -D \"VERSION=${arg_VERSION}\"
        -D \"OUTPUT=\$ENV{DESTDIR}$<IF:$<BOOL:$<PATH:IS_ABSOLUTE,${arg_DESTINATION}>>,,\${CMAKE_INSTALL_PREFIX}/>${arg_DESTINATION}/${file}.manifest.yaml\"
        -P \"${WHENCE_CMAKE_DIR}/write_manifest.cmake\"
      COMMAND_ERROR_IS_FATAL ANY)")

  if(TARGET whence::whence)
    add_test(NAME conformance.${file} COMMAND whence::whence doctor --plugin ${manifest})
  endif()
endfunction()
