#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "whence/tensor.h"

/// What the data of every page is made of.
namespace whence::html {

/// Bytes of base64 for so many bytes.
std::int64_t encoded_size(std::int64_t bytes);

/// Little-endian numbers as base64.
std::string encoded(const Tensor& values, at::ScalarType type);
std::string encoded(const std::vector<float>& values);

/// Of light and of dark pages.
nlohmann::json palettes();

/// As JSON that may stand in a script element: ASCII without "<".
std::string script_text(const nlohmann::json& data);

}  // namespace whence::html
