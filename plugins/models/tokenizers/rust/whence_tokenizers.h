#pragma once

// C interface of the Rust crate in this folder. Every function may be called from any thread; a `WhenceTokenizer` is
// immutable once made. Strings are UTF-8 with a length and no terminator. No call lets a Rust panic through.

#include <cstddef>
#include <cstdint>

extern "C" {

struct WhenceTokenizer;

enum class WhenceTokenizerStatus : std::int32_t {
  ok = 0,
  input = 1,    ///< the text or ids given to the call; the message says what is wrong with them
  failed = 2,   ///< the tokenizer itself: a broken description, or a defect of the library
  missing = 3,  ///< a look-up that found nothing; no message
};

/// Memory of the library; free with `whence_tokenizer_text_free`. {nullptr, 0} when empty.
struct WhenceTokenizerText {
  char* data;
  std::size_t size;
};

/// One encoded text; free with `whence_tokenizer_encoding_free`.
struct WhenceTokenizerEncoding {
  std::size_t size;                 ///< number of tokens
  const std::uint32_t* ids;         ///< [size]
  const std::uint64_t* offsets;     ///< [size, 2] start and end in characters of the text
  const std::uint8_t* special;      ///< [size] 1 where the tokenizer added the token
  const char* tokens;               ///< all vocabulary entries, one after the other
  const std::uint64_t* token_ends;  ///< [size] end of each entry in `tokens`, in bytes
  void* owner;
};

/// Reads a tokenizer.json. `changes` is a JSON object:
///   "added_tokens": list of {content, single_word, lstrip, rstrip, normalized, special}, added in order;
///   "missing_tokens": the same, but only those whose content is not an added token yet;
///   "add_prefix_space": true or false, for a byte-level pre-tokenizer at the top level; null leaves it;
///   "template": {"bos": token or null, "eos": token or null}, replaces the post-processor; null leaves it.
/// Truncation and padding are switched off.
WhenceTokenizerStatus whence_tokenizer_create(const char* json, std::size_t json_size, const char* changes,
                                              std::size_t changes_size, WhenceTokenizer** tokenizer,
                                              WhenceTokenizerText* message);
void whence_tokenizer_free(WhenceTokenizer* tokenizer);

WhenceTokenizerStatus whence_tokenizer_encode(const WhenceTokenizer* tokenizer, const char* text, std::size_t size,
                                              bool add_special_tokens, WhenceTokenizerEncoding* encoding,
                                              WhenceTokenizerText* message);
WhenceTokenizerStatus whence_tokenizer_decode(const WhenceTokenizer* tokenizer, const std::uint32_t* ids,
                                              std::size_t size, bool skip_special_tokens, WhenceTokenizerText* text,
                                              WhenceTokenizerText* message);

WhenceTokenizerStatus whence_tokenizer_token(const WhenceTokenizer* tokenizer, std::uint32_t id,
                                             WhenceTokenizerText* token, WhenceTokenizerText* message);
WhenceTokenizerStatus whence_tokenizer_id(const WhenceTokenizer* tokenizer, const char* token, std::size_t size,
                                          std::uint32_t* id, WhenceTokenizerText* message);
/// The ids marked special, ascending. Writes at most `capacity` of them and always their number.
WhenceTokenizerStatus whence_tokenizer_special_ids(const WhenceTokenizer* tokenizer, std::uint32_t* ids,
                                                   std::size_t capacity, std::size_t* size,
                                                   WhenceTokenizerText* message);

/// Reads a sentencepiece model (a protobuf file) into a JSON object:
///   "type": 1 unigram, 2 BPE; "unknown_id", "unknown_piece"; "charsmap": its normalisation as the precompiled map in
///   base64, empty for none; "pieces": list of [text, score, type], types as in GgufTokenType.
WhenceTokenizerStatus whence_sentencepiece_describe(const char* model, std::size_t size,
                                                    WhenceTokenizerText* description, WhenceTokenizerText* message);

/// Checks a precompiled normalisation map of sentencepiece and gives it in base64.
WhenceTokenizerStatus whence_sentencepiece_charsmap(const char* map, std::size_t size, WhenceTokenizerText* text,
                                                    WhenceTokenizerText* message);

/// Renders a chat template. `request` is a JSON object: "template": Jinja; "variables": object; "now": the time that
/// the template sees, "2026-01-31T23:59:00". `input`: the template itself refused with raise_exception, the message is
/// its text; `failed`: a template that is broken, or does not come to an end.
WhenceTokenizerStatus whence_chat_render(const char* request, std::size_t size, WhenceTokenizerText* text,
                                         WhenceTokenizerText* message);

void whence_tokenizer_text_free(WhenceTokenizerText* text);
void whence_tokenizer_encoding_free(WhenceTokenizerEncoding* encoding);
}
