#include "checkpoint_fuzzer.h"
#include "gguf_file.h"

namespace whence::transformer::fuzzing {

bool reads(std::span<const std::uint8_t> bytes) { return reads_as<GgufFile>(bytes); }

}  // namespace whence::transformer::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  whence::transformer::fuzzing::reads({data, size});
  return 0;
}
