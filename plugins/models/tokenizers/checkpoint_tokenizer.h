#pragma once

#include <filesystem>
#include <memory>

#include "whence/tokenizer.h"

namespace whence {

/// The tokenizer of a Hugging Face checkpoint directory, as the AutoTokenizer of transformers 4.57 makes it.
///
/// tokenizer.json is needed; tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json and
/// generation_config.json are read when present. Without the second and third, the ids of the special tokens come from
/// the last two. Throws ModelError when a file is missing or broken.
std::unique_ptr<Tokenizer> tokenizer_from_directory(const std::filesystem::path& directory);

}  // namespace whence
