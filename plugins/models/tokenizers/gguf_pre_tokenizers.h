#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace whence {

/// How a BPE vocabulary cuts a text into the pieces that merges stay inside: what `tokenizer.ggml.pre` names.
struct GgufPreTokenizer {
  std::string_view name;
  /// Regular expressions, applied one after the other to the pieces of the one before; what matches and what lies
  /// between the matches are the new pieces. Null after the last.
  std::array<const char*, 6> patterns;
  bool adds_bos = false;        ///< what a file without tokenizer.ggml.add_bos_token means
  bool ignores_merges = false;  ///< a piece that is a token stays whole, whatever the merges say
  bool composes = false;        ///< the text is brought to Unicode NFC first
  bool byte_level = true;       ///< else spaces are written U+2581, and characters that are no token as bytes <0x00>
};

/// Null when the name is not known.
const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);

/// The steps as the pre-tokenizer of a tokenizer.json.
nlohmann::json to_json(const GgufPreTokenizer& pre_tokenizer);
/// Their last step, bytes as characters, which is also the decoder.
nlohmann::json byte_level_json();

/// All names, sorted.
std::vector<std::string> gguf_pre_tokenizer_names();

}  // namespace whence
