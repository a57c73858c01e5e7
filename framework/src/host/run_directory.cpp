#include "host/run_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "whence/error.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".partial-";

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw InputError(path.string() + ": cannot be " + what + ": " + std::strerror(errno));
}

/// A descriptor that is closed when it goes out of scope.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : value_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (value_ < 0) fail(path, flags & O_CREAT ? "written" : "opened");
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

void write_and_sync(const fs::path& path, std::string_view bytes) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) fail(path, "written to disk");
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  // Some file systems cannot sync a folder; the rename is atomic there, too.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) fail(folder, "written to disk");
}

/// Removes what a process that no longer lives left of `target`.
void remove_leftovers(const fs::path& target) {
  const std::string prefix = "." + target.filename().string() + std::string(kPartial);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(target.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const long process = std::atol(name.c_str() + prefix.size());
    if (process > 0 && ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH)
      fs::remove_all(entry.path(), ignored);
  }
}

fs::path partial_name(const fs::path& target) {
  return target.parent_path() / ("." + target.filename().string() + std::string(kPartial) + std::to_string(::getpid()));
}

}  // namespace

StagedDirectory::StagedDirectory(fs::path target)
    : target_(fs::absolute(std::move(target)).lexically_normal()), staging_(partial_name(target_)) {
  std::error_code failed;
  for (fs::path folder = target_.parent_path(); !fs::exists(folder, failed) && !failed; folder = folder.parent_path())
    made_.push_back(folder);
  fs::create_directories(target_.parent_path(), failed);
  remove_leftovers(target_);
  fs::remove_all(staging_, failed);
  fs::create_directory(staging_, failed);
  if (failed)
    throw InputError(staging_.parent_path().string() + ": no folder can be made there: " + failed.message() +
                     "; choose another output folder");
}

StagedDirectory::~StagedDirectory() {
  if (staging_.empty()) return;
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  // Removes empty folders only: what somebody else put there stays.
  for (const fs::path& folder : made_) fs::remove(folder, ignored);
}

void StagedDirectory::write(const fs::path& relative, std::string_view bytes) {
  const fs::path path = staging_ / relative;
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  write_and_sync(path, bytes);
}

void StagedDirectory::publish() {
  for (const auto& entry : fs::recursive_directory_iterator(staging_))
    if (entry.is_directory()) sync_folder(entry.path());
  sync_folder(staging_);
  const fs::path old = staging_.string() + ".old";
  std::error_code ignored, failed;
  if (fs::exists(target_, ignored)) fs::rename(target_, old, failed);
  if (!failed) fs::rename(staging_, target_, failed);
  if (failed) throw InputError(target_.string() + ": cannot be put in place: " + failed.message());
  staging_.clear();
  fs::remove_all(old, ignored);
  sync_folder(target_.parent_path());
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::error_code unreadable;
  if (!stream || fs::is_directory(path, unreadable))
    throw InputError(path.string() + ": cannot be read; expected a file");
  return {std::istreambuf_iterator<char>(stream), {}};
}

void check_writable(const fs::path& path) {
  if (path.empty()) throw InputError("the name of the file to write is empty; name a file");
  const fs::path target = fs::absolute(path);
  std::error_code failure;
  for (const fs::path& place : {target.parent_path(), target}) {
    fs::exists(place, failure);
    if (failure) throw InputError(path.string() + ": cannot be written: " + failure.message());
  }
  if (!fs::is_directory(target.parent_path(), failure))
    throw InputError(path.string() + ": cannot be written: the folder " + target.parent_path().string() +
                     " does not exist; make it first");
  if (fs::is_directory(target, failure))
    throw InputError(path.string() + ": cannot be written: it is a folder; name a file");
  if (::access(target.parent_path().c_str(), W_OK) != 0) fail(path, "written");
}

void write_file(const fs::path& path, std::string_view bytes) {
  check_writable(path);
  const fs::path target = fs::absolute(path);
  const fs::path partial = partial_name(target);
  try {
    write_and_sync(partial, bytes);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
  std::error_code failed;
  fs::rename(partial, target, failed);
  if (failed) throw InputError(path.string() + ": cannot be put in place: " + failed.message());
  sync_folder(target.parent_path());
}

}  // namespace whence::host
