#pragma once

#include <optional>
#include <string>
#include <vector>

#include "whence/label.h"
#include "whence/model.h"
#include "whence/value.h"

namespace whence::host {

/// How messages are written as text.
struct ChatOptions {
  std::string template_name;                  ///< of the checkpoint's templates; empty: its own choice
  std::string template_text;                  ///< in place of the checkpoint's, unless empty
  Value tools, documents;                     ///< lists handed to the template, or null
  Value::Map variables;                       ///< "chat_template_kwargs": what else the template reads
  std::optional<bool> add_generation_prompt;  ///< default: open an answer unless the last message is one
  bool continue_final_message = false;        ///< the model goes on from the end of the last message
  bool allow_special_tokens = false;          ///< messages may hold the text of special tokens, and mean them
  std::string now;                            ///< time that templates see, "2026-01-31T23:59:00"; empty: now

  bool operator==(const ChatOptions&) const = default;
};

/// Messages as the model reads them.
struct ChatPrompt {
  std::string text;  ///< as rendered, up to where the model goes on
  TokenIds ids;
  std::vector<Label> labels;       ///< every position once, in order
  std::int64_t prompt_length = 0;  ///< tokens before the answer
  std::string prompt_text;         ///< what they write
  bool answered = false;           ///< the last message is the answer to explain
};

/// The time now, as ChatOptions has it.
std::string chat_time();

/// Throws ConfigError for messages that are no list of {role, content}.
void check_messages(const Value& messages);

/// Throws ConfigError for options that don't go together and as check_messages, InputError for messages that hold
/// special tokens or are refused by the template, ModelError for the template.
ChatPrompt render_chat(const Model& model, const Value& messages, const ChatOptions& options);

/// Adds the labels of tokens that the model wrote behind a rendered chat.
void label_answer(const Tokenizer& tokenizer, const TokenIds& ids, std::int64_t turn, std::vector<Label>& labels);

}  // namespace whence::host
