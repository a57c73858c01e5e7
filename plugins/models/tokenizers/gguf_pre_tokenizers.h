#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// How a byte-level vocabulary cuts a text into the pieces that merges stay inside: what `tokenizer.ggml.pre` names.
struct GgufPreTokenizer {
  std::string_view name;
  /// Regular expressions, applied one after the other to the pieces of the one before; what matches and what lies
  /// between the matches are the new pieces. Null after the last.
  std::array<const char*, 6> patterns;
  bool adds_bos = false;        ///< what a file without tokenizer.ggml.add_bos_token means
  bool ignores_merges = false;  ///< a piece that is a token stays whole, whatever the merges say
  bool composes = false;        ///< the text is brought to Unicode NFC first
};

/// Null when the name is not known.
const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);

/// All names, sorted.
std::vector<std::string> gguf_pre_tokenizer_names();

}  // namespace whence
