#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "tensor_store.h"
#include "whence/error.h"

namespace whence::transformer::fuzzing {

/// Opens `bytes` as a checkpoint and unpacks every tensor. False when the reader refuses it with a ModelError; anything
/// else that goes wrong is a defect and escapes. Each fuzzer defines it for its format.
bool reads(std::span<const std::uint8_t> bytes);

/// A file in memory with a path, so that the readers map it like any other.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::uint8_t> bytes) : descriptor_(::memfd_create("checkpoint", 0)) {
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      throw std::system_error(errno, std::generic_category(), "memory file");
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

template <class Store>
bool reads_as(std::span<const std::uint8_t> bytes) {
  const MemoryFile file(bytes);
  try {
    const Store store(file.path());
    for (const std::string& name : store.names()) store.load(name);
    return true;
  } catch (const ModelError&) {
    return false;
  }
}

}  // namespace whence::transformer::fuzzing
