#pragma once

#include <string_view>

namespace whence {

/// How the vocabulary files of a tokenizer class are put together.
enum class Layout {
  none,        ///< only from tokenizer.json
  byte_level,  ///< vocab.json and merges.txt of GPT-2
  qwen2,       ///< the same with Qwen2's pre-tokenizer
  bart,        ///< GPT-2's within <s> and </s>
  blenderbot,  ///< GPT-2's with </s> at the end
  word_ends,   ///< vocab.json and merges.txt of the first GPT, whose words end in </w>
  llama,       ///< sentencepiece, tokenizer.model
  gemma,
  t5,  ///< sentencepiece, spiece.model
  pegasus,
  mbart,  ///< sentencepiece, sentencepiece.bpe.model, with the fairseq order of special tokens
  mbart50,
  nllb,
  seamless,
  xglm,
  marian,   ///< source.spm and target.spm give pieces, vocab.json their ids
  m2m_100,  ///< the same with one sentencepiece.bpe.model
  fsmt,     ///< Moses words; vocab-src.json, vocab-tgt.json and merges.txt
  biogpt    ///< the same with one vocab.json
};

/// What a tokenizer class of transformers adds to the files: default special tokens, and whether it makes the
/// post-processor anew from add_bos_token and add_eos_token (BOS by default) for those that `sets_frame`.
struct TokenizerClass {
  const char* name;
  const char* bos = nullptr;
  const char* eos = nullptr;
  const char* unknown = nullptr;
  const char* pad = nullptr;
  Layout layout = Layout::none;
  bool sets_frame = false;
  bool adds_bos = false;
  bool sets_prefix_space = true;  ///< add_prefix_space is false unless the files say otherwise
  const char* mask = nullptr;     ///< takes the space before it along
  bool mask_is_normalized = false;
  const char* separator = nullptr;
  const char* classifier = nullptr;
};

/// The class of that name, with or without "Fast" at its end; one without any properties for other names.
const TokenizerClass& find_tokenizer_class(std::string_view name);

/// Name of the class that a config.json means which only says its model_type; empty for other types.
std::string_view tokenizer_class_of(std::string_view model_type);

}  // namespace whence
