#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <filesystem>
#include <span>

namespace whence::transformer {

/// A whole file mapped read-only; pages are read from disk when they are first touched. [thread: any]
class MappedFile {
 public:
  /// Throws ModelError when there is no such regular file or it cannot be read.
  explicit MappedFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Valid as long as this object. Never write through it: the pages are read-only.
  std::span<const std::byte> bytes() const noexcept;

 private:
  std::filesystem::path path_;
  boost::interprocess::mapped_region region_;
};

}  // namespace whence::transformer
