#pragma once

#include <filesystem>
#include <string>

#include "gguf_tokenizer.h"

namespace whence {

/// What a tokenizer is made from.
struct TokenizerFiles {
  std::string kind;           ///< "BPE", "Unigram", "WordPiece"..., or "SentencePiece" where that library cuts texts
  std::string source;         ///< files, or what a GGUF file says
  std::string pre_tokenizer;  ///< its steps, or their name in GGUF; empty: there are none
};

/// Those of a Hugging Face folder, as tokenizer_from_directory reads them. Throws ModelError.
TokenizerFiles tokenizer_files_of(const std::filesystem::path& directory);
/// Those of a GGUF file.
TokenizerFiles tokenizer_files_of(const GgufVocabulary& vocabulary);

}  // namespace whence
