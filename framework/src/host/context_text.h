#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/context_template.h"
#include "host/experiment.h"
#include "whence/model.h"
#include "whence/sequence.h"
#include "whence/token_text.h"

namespace whence::host {

/// `a`, the separator and `b`; without the separator where one of them has it there.
std::string joined(const std::string& a, const std::string& separator, const std::string& b);
/// Without blanks at its ends.
std::string stripped(const std::string& text);

/// Ids of special tokens that count as text. Throws ConfigError for an entry that the vocabulary lacks.
TokenIds kept_specials(const Model& model, const ContextSpec& spec);
/// True for special tokens that do not count as text.
bool is_dropped(const Tokenizer& tokenizer, const TokenIds& kept, std::int64_t id);
/// What ids write, special tokens left out unless they are kept.
std::string written(const Tokenizer& tokenizer, const TokenIds& kept, const TokenIds& ids);

/// A text as a model reads it.
struct ReadText {
  std::string text;
  TokenIds ids;
  std::vector<Span> bytes;     ///< of `text`, what each token writes
  std::vector<bool> is_added;  ///< tokens that the tokenizer adds, and special ones that do not count as text

  /// What some of its tokens write of a part of it, with places in that part.
  TokenText part(const Span& part, const std::vector<std::int64_t>& rows) const;
};

/// Everything that one pass reads, with or without context, and the rows of its parts: positions of tokens, ascending.
/// Decoder-only models have one text, the target.
struct ReadTexts {
  std::optional<ReadText> source;
  ReadText target;
  std::optional<Span> input_context, output_context;  ///< bytes of the text that they are part of
  std::vector<std::int64_t> input_context_rows, output_context_rows, output_rows;
  Span output;  ///< bytes of the target

  const ReadText& input_text() const { return source ? *source : target; }
};

/// The texts of a model with separator and marks; a token belongs to the part that has its first letter. Throws
/// InputError for texts that are too long, and for an output that the tokenizer makes no token of.
ReadTexts read_texts(const Model& model, const InputText& how, const FilledText& input, const FilledText& output,
                     const std::string& separator, const TokenIds& kept);

/// The tokens of the texts; `steps` is left to the caller.
Sequence sequence_of(const Model& model, const std::string& id, const ReadTexts& texts);

}  // namespace whence::host
