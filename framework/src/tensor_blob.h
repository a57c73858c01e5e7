#pragma once

#include <string>
#include <string_view>

#include "whence/tensor.h"

namespace whence {

/// Base64 text of a safetensors file with one tensor called "attribution", as results hold tensors. float16, bfloat16,
/// float8, float32, float64 and int64 keep their type; other integers and booleans become int64.
std::string to_tensor_blob(const Tensor& tensor);

/// Reads such a text. 8- and 16-bit floats become float32, the other types stay. Throws InputError; `place` names the
/// text.
Tensor from_tensor_blob(std::string_view text, const std::string& place);

}  // namespace whence
