#pragma once

#include <filesystem>
#include <memory>

#include "whence/tokenizer.h"

namespace whence {

/// The tokenizer of a Hugging Face checkpoint directory, as the AutoTokenizer of transformers 4.57 makes it.
///
/// Needs tokenizer.json, or the vocabulary files of the checkpoint's tokenizer class (README.md lists them).
/// tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json and generation_config.json are read
/// when present. Without the first two, the ids of the special tokens come from the last two. This is the tokenizer of
/// the source side. Throws ModelError when a file is missing or broken.
std::unique_ptr<Tokenizer> tokenizer_from_directory(const std::filesystem::path& directory);

}  // namespace whence
