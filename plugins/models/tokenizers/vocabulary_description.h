#pragma once

#include <string>

#include "checkpoint_files.h"

namespace whence {

/// What HfTokenizer takes, made from vocabulary files.
struct VocabularyDescription {
  std::string json;    ///< a tokenizer.json
  std::string origin;  ///< the file it comes from, for messages
  TokenizerChanges changes;
};

/// Puts vocab.json and merges.txt, or a sentencepiece model, together as the fast tokenizer of the checkpoint's class
/// does in transformers 4.57. Throws ModelError when a file is missing or damaged.
VocabularyDescription describe_vocabulary(const CheckpointFiles& files);

/// The ids by token of a vocab.json. Throws ModelError when it is damaged.
nlohmann::json read_vocabulary_file(const std::filesystem::path& path);

}  // namespace whence
