# Finds a libtorch by its folder (include/ and lib/), without asking for a CUDA toolkit.
#
# Looks at the variable WHENCE_LIBTORCH, then the environment variable of that name, then ${WHENCE_DEPS_DIR}/libtorch.
# Defines the target whence::libtorch and Libtorch_VERSION. When the folder holds a CUDA build it is linked, too.

set(_whence_libtorch_hints ${WHENCE_LIBTORCH} $ENV{WHENCE_LIBTORCH} ${WHENCE_DEPS_DIR}/libtorch)
find_path(Libtorch_INCLUDE_DIR ATen/core/Tensor.h HINTS ${_whence_libtorch_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(Libtorch_CPU_LIBRARY torch_cpu HINTS ${_whence_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(Libtorch_C10_LIBRARY c10 HINTS ${_whence_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(Libtorch_CUDA_LIBRARY torch_cuda HINTS ${_whence_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(Libtorch_C10_CUDA_LIBRARY c10_cuda HINTS ${_whence_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
mark_as_advanced(Libtorch_INCLUDE_DIR Libtorch_CPU_LIBRARY Libtorch_C10_LIBRARY Libtorch_CUDA_LIBRARY
                 Libtorch_C10_CUDA_LIBRARY)

if(Libtorch_INCLUDE_DIR)
  file(STRINGS ${Libtorch_INCLUDE_DIR}/torch/headeronly/version.h _whence_torch_version
       REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" Libtorch_VERSION "${_whence_torch_version}")
  string(REPLACE ";" "." Libtorch_VERSION "${Libtorch_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Libtorch
  REQUIRED_VARS Libtorch_CPU_LIBRARY Libtorch_C10_LIBRARY Libtorch_INCLUDE_DIR
  VERSION_VAR Libtorch_VERSION
  REASON_FAILURE_MESSAGE "run tools/setup, or set WHENCE_LIBTORCH to a folder that holds include/ and lib/")

if(Libtorch_FOUND AND NOT TARGET whence::libtorch)
  add_library(whence::libtorch INTERFACE IMPORTED GLOBAL)
  set(_whence_torch_libraries ${Libtorch_CPU_LIBRARY} ${Libtorch_C10_LIBRARY})
  if(Libtorch_CUDA_LIBRARY AND Libtorch_C10_CUDA_LIBRARY)
    # CUDA kernels register themselves while loading, so the linker must not drop libraries nobody calls.
    list(APPEND _whence_torch_libraries -Wl,--no-as-needed ${Libtorch_CUDA_LIBRARY} ${Libtorch_C10_CUDA_LIBRARY} -Wl,--as-needed)
  endif()
  set_target_properties(
    whence::libtorch
    PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${Libtorch_INCLUDE_DIR};${Libtorch_INCLUDE_DIR}/torch/csrc/api/include"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${Libtorch_INCLUDE_DIR};${Libtorch_INCLUDE_DIR}/torch/csrc/api/include"
               INTERFACE_LINK_LIBRARIES "${_whence_torch_libraries}"
               INTERFACE_COMPILE_DEFINITIONS AT_PER_OPERATOR_HEADERS
               INTERFACE_COMPILE_FEATURES cxx_std_20)
endif()
