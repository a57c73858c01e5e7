#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace whence::host {

/// SHA-256 in lower-case hexadecimal. Throws InputError when the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);
std::string sha256_of_text(std::string_view text);

}  // namespace whence::host
