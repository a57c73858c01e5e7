#pragma once

#include <string>
#include <vector>

#include "host/chat.h"
#include "host/experiment.h"
#include "whence/model.h"
#include "whence/sequence.h"

namespace whence::host {

// Texts of inputs as ids. Errors are InputErrors that name the input and its place, unless something else is said.

/// "file:line:column: input 'id'".
std::string place_of(const InputText& input);
/// The beginning of a text, between quotes.
std::string quoted(const std::string& text);

/// Throws when `length` tokens and `room` more are longer than the model's context; `what` has them.
void check_length(const Model& model, const InputText& input, std::size_t length, const std::string& what,
                  std::int64_t room);

/// Ids of a text as one sequence, in the language of the input for its side: a BOS that both the text and the tokenizer
/// wrote counts once, and an `open` text loses an end mark of the tokenizer's template, which would stand between it
/// and its continuation.
Encoding encode_with_places(const Tokenizer& tokenizer, const InputText& input, const std::string& text, Side side,
                            bool open);
TokenIds encode(const Tokenizer& tokenizer, const InputText& input, const std::string& text, Side side, bool open);
/// Ids of a text that cannot do without any: a prompt, which stays open, or a source.
TokenIds encode_text(const Model& model, const InputText& input, const std::string& text, Side side);
/// Ids of a source of an encoder-decoder, with the marks that its tokenizer adds.
TokenIds encode_source(const Model& model, const InputText& input, const std::string& text, const std::string& what);
/// The token that the decoder of an encoder-decoder begins with. Throws ModelError when the checkpoint names none.
TokenIds decoder_start(const Model& model);
/// The given target of an encoder-decoder behind the token that its decoder starts from.
TokenIds encode_target(const Model& model, const InputText& input, TokenIds start);
/// The given text of a decoder-only model, which extends these ids of its prompt.
TokenIds encode_forced(const Model& model, const InputText& input, const TokenIds& prompt);
/// A chat, with the given answer as its last message.
ChatPrompt encode_chat(const Model& model, const InputText& input, const ChatOptions& options);

std::vector<Token> tokens_of(const Tokenizer& tokenizer, const TokenIds& ids);

}  // namespace whence::host
