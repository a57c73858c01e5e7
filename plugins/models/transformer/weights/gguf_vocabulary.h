#pragma once

#include "gguf_file.h"
#include "gguf_tokenizer.h"

namespace whence::transformer {

/// The `tokenizer.ggml.*` metadata of a file, unchecked but for their types. Throws ModelError when the model or the
/// tokens are missing, or a key holds another type than it should.
GgufVocabulary read_vocabulary(const GgufFile& file);

}  // namespace whence::transformer
