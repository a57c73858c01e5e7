#include "mapped_file.h"

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>

#include "whence/error.h"

namespace whence::transformer {

namespace ipc = boost::interprocess;

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) throw ModelError(path.string() + ": no such file; check the path of the model");
  if (!std::filesystem::is_regular_file(status))
    throw ModelError(path.string() + ": not a regular file; name a checkpoint file");
  const auto size = std::filesystem::file_size(path, failure);
  if (!failure && size == 0) return;  // an empty range cannot be mapped
  try {
    region_ = ipc::mapped_region(ipc::file_mapping(path.c_str(), ipc::read_only), ipc::read_only);
  } catch (const ipc::interprocess_exception& error) {
    throw ModelError(path.string() + ": cannot be read: " + error.what() + "; check its permissions");
  }
}

std::span<const std::byte> MappedFile::bytes() const noexcept {
  return {static_cast<const std::byte*>(region_.get_address()), region_.get_size()};
}

}  // namespace whence::transformer
