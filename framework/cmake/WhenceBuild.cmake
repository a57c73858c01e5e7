# How this project builds itself: output folders, flags, the compiler cache and the shared precompiled header.
# Plugins of other projects use only WhenceAddPlugin.cmake.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
find_program(WHENCE_CCACHE ccache)
if(WHENCE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${WHENCE_CCACHE})
endif()
# The compiler's own linker, as faster ones break here: mold 1.10 can place thread-local storage so that the loader
# refuses the file, and lld 14 lets the unwind entry of an empty cold function replace the real one at the same address,
# so that an exception ends the process.

# The build tree looks like an installation, so that the tool finds plugins and architectures in both the same way.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})
# Not CMAKE_INSTALL_LIBDIR: the host looks here, relative to itself, whatever the libraries' folder is called.
set(WHENCE_PLUGIN_INSTALL_DIR lib/whence/plugins)
set(WHENCE_PLUGIN_OUTPUT_DIR ${PROJECT_BINARY_DIR}/lib/whence/plugins)
set(WHENCE_ARCHITECTURES_OUTPUT_DIR ${PROJECT_BINARY_DIR}/share/whence/architectures)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
# From bin/ and from the libraries' folder alike.
set(CMAKE_INSTALL_RPATH \$ORIGIN/../${CMAKE_INSTALL_LIBDIR})
# In the build tree, too: CMake would fill another run path up with colons to the length of this one, and the loader takes
# what is empty between colons for the working directory.
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
# One kind of position-independent code everywhere, executables included, so that all share one precompiled header.
add_compile_options(-fPIC -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns about its own std::string and std::vector where texts are joined (GCC bug 105651) and lists copied.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(WHENCE_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
if(WHENCE_SANITIZE)
  list(JOIN WHENCE_SANITIZE "," _whence_sanitize)
  add_compile_options(-fsanitize=${_whence_sanitize} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${_whence_sanitize})
endif()

include(WhenceAddPlugin)

# Compiles `target` with the framework's precompiled header.
function(whence_use_pch target)
  target_precompile_headers(${target} REUSE_FROM whence_framework)
endfunction()

# whence_embed(target file ...): gives the sources of `target` every text file as a header of its name and ".h", which holds
# one string literal.
function(whence_embed target)
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file)
    cmake_path(GET file FILENAME name)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    file(CONFIGURE OUTPUT embedded/${name}.h CONTENT "R\"embedded(@text@)embedded\"" @ONLY)
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/embedded)
endfunction()

# whence_add_crate(name folder comment): `name`, the static library that the Rust package in `folder` makes.
function(whence_add_crate name folder comment)
  find_program(WHENCE_CARGO cargo HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin REQUIRED)
  find_package(Threads REQUIRED)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/src/*.rs)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/rust)
  set(library ${output}/release/lib${name}.a)
  add_custom_command(
    OUTPUT ${library}
    COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${output} ${WHENCE_CARGO} build --release --locked
    COMMAND ${CMAKE_COMMAND} -E touch ${library}
    DEPENDS ${folder}/Cargo.toml ${folder}/Cargo.lock ${sources}
    WORKING_DIRECTORY ${folder}
    COMMENT ${comment}
    USES_TERMINAL VERBATIM)
  add_custom_target(${name}_crate DEPENDS ${library})
  add_library(${name} STATIC IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${library})
  add_dependencies(${name} ${name}_crate)
  target_link_libraries(${name} INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
endfunction()

# whence_add_test(NAME name SOURCES ... LIBRARIES ... [SHARDS count] [TIMEOUT seconds]): one GoogleTest program
# `test_<name>`. Its cases are dealt out to so many tests of ctest, `<name>` or `<name>.1`, `<name>.2` and so on, since a
# process for each case would mostly load libraries.
function(whence_add_test)
  cmake_parse_arguments(arg "" "NAME;SHARDS;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 900)
  endif()
  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  add_executable(test_${arg_NAME} ${arg_SOURCES})
  target_link_libraries(test_${arg_NAME} PRIVATE whence_framework ${arg_LIBRARIES} GTest::gtest_main)
  target_compile_definitions(
    test_${arg_NAME}
    PRIVATE WHENCE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" WHENCE_MODELS_DIR="${WHENCE_DEPS_DIR}/models"
            WHENCE_BINARY_DIR="${PROJECT_BINARY_DIR}" WHENCE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  whence_use_pch(test_${arg_NAME})
  foreach(shard RANGE 1 ${arg_SHARDS})
    set(name ${arg_NAME})
    if(arg_SHARDS GREATER 1)
      string(APPEND name .${shard})
    endif()
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name} COMMAND test_${arg_NAME} --gtest_brief=1)
    # OpenMP threads that wait by spinning slow each other down when tests share the processors.
    set_tests_properties(
      ${name}
      PROPERTIES TIMEOUT ${arg_TIMEOUT}
                 ENVIRONMENT "OMP_WAIT_POLICY=passive;GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${index}")
  endforeach()
endfunction()
