#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace whence::host {

/// A folder that comes into being whole: files are written beside its place, under a hidden name, synced to disk, and
/// moved there by one rename. Without `publish` nothing stays, nor do the folders above it that had to be made.
class StagedDirectory {
 public:
  /// Also clears away what interrupted runs left for the same target. Throws InputError when the folder cannot be made.
  explicit StagedDirectory(std::filesystem::path target);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  /// Writes one file; folders on the way are made. Throws InputError.
  void write(const std::filesystem::path& relative, std::string_view bytes);
  /// Moves the folder to its target; what stood there is replaced. Throws InputError.
  void publish();

 private:
  std::filesystem::path target_, staging_;
  std::vector<std::filesystem::path> made_;  ///< folders above the target that were missing, innermost first
};

/// Whole file, binary. Throws InputError.
std::string read_file(const std::filesystem::path& path);
/// Throws InputError when `write_file` could not work: what a command asks before long work.
void check_writable(const std::filesystem::path& path);
/// Writes a file so that readers see the old one or the new one, never a part. Throws InputError.
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace whence::host
