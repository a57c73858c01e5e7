#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace whence {

/// True when `bytes` begin like a gzip file.
bool is_gzip(std::string_view bytes);

/// Unpacks a gzip file. Throws InputError, beginning with `place`, when it is damaged, or when it would grow beyond
/// `most_bytes`.
std::string gunzip(std::string_view bytes, std::uint64_t most_bytes, const std::string& place);

}  // namespace whence
