#include "host/chat.h"

#include <ctime>

#include "host/chat_owners.h"
#include "whence/chat_template.h"

namespace whence::host {
namespace {

const std::string kAssistant = "assistant";

std::string place_of(std::size_t index) { return "messages[" + std::to_string(index) + "]"; }

std::string role_of(const Value::List& messages, std::int64_t turn) {
  if (turn < 0) return "";
  return turn < std::ssize(messages) ? messages[turn].at("role").as_string() : kAssistant;
}

/// Throws InputError where a text of the data would be read as a special token.
void refuse_special_tokens(const Value& value, const std::string& place, const std::vector<std::string>& specials) {
  if (value.is_string()) {
    for (const std::string& special : specials)
      if (value.as_string().find(special) != std::string::npos)
        throw InputError(place + " holds '" + special +
                         "', which the tokenizer would read as a special token; take it out, or allow it with "
                         "chat: {special_tokens: allow}");
  } else if (value.is_list()) {
    for (std::size_t i = 0; i < value.as_list().size(); ++i)
      refuse_special_tokens(value.as_list()[i], place + "[" + std::to_string(i) + "]", specials);
  } else if (value.is_map()) {
    for (const auto& [key, member] : value.as_map()) refuse_special_tokens(member, place + "." + key, specials);
  }
}

std::vector<std::string> special_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (const std::int64_t id : tokenizer.all_special_ids())
    if (auto text = tokenizer.token(id); text && !text->empty()) texts.push_back(std::move(*text));
  return texts;
}

/// Owners of characters from those of bytes.
std::vector<Owner> by_character(const std::string& text, const std::vector<Owner>& bytes) {
  std::vector<Owner> owners;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) owners.push_back(bytes[i]);
  return owners;
}

/// A token that writes any of a content belongs to it, the others to where they begin.
Owner owner_of(const Span& characters, const std::vector<Owner>& owners, const Owner& before) {
  for (std::int64_t i = characters.start; i < characters.end; ++i)
    if (owners.at(i).content) return owners[i];
  return characters.size() > 0 ? owners.at(characters.start) : before;
}

/// Appends a position, to the last label where it goes on.
void append(std::vector<Label>& labels, const Owner& owner, const std::string& role) {
  const LabelKind kind = owner.content ? LabelKind::content : LabelKind::markup;
  const std::int64_t at = labels.empty() ? 0 : labels.back().span.end;
  if (labels.empty() || labels.back().kind != kind || labels.back().turn != owner.turn)
    labels.push_back({role, {at, at}, kind, owner.turn});
  ++labels.back().span.end;
}

}  // namespace

void check_messages(const Value& messages) {
  if (!messages.is_list())
    throw ConfigError(messages.mark(), "'messages' is " + std::string(messages.type_name()) +
                                           "; expected a list of {role: ..., content: ...}");
  if (messages.as_list().empty())
    throw ConfigError(messages.mark(), "'messages' is empty; give at least one {role: ..., content: ...}");
  for (const Value& message : messages.as_list()) {
    message.at("role").as_string();
    const Value* content = message.find("content");
    if (!content && !message.find("tool_calls"))
      throw ConfigError(message.mark(), "a message has no 'content'; only one with 'tool_calls' may be without");
    if (content && !content->is_string() && !content->is_list() && !content->is_null())
      throw ConfigError(content->mark(), "'content' is " + std::string(content->type_name()) +
                                             "; expected text, or a list of parts with 'text'");
  }
}

std::string chat_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return text;
}

ChatPrompt render_chat(const Model& model, const Value& messages, const ChatOptions& options) {
  check_messages(messages);
  if (model.info().kind != ModelKind::decoder_only)
    throw ConfigError(messages.mark(), "model '" + model.info().name +
                                           "' has a source and takes no chat; give the text without --chat (messages, "
                                           "system, chat), or take a decoder-only model");
  const auto* chat = static_cast<const ChatTemplate*>(model.query(ChatTemplate::kCapability));
  if (!chat)
    throw ConfigError(messages.mark(), "model '" + model.info().name +
                                           "' renders no chats, since its plugin has no chat templates; give the text "
                                           "as the model expects it");
  const Value::List& list = messages.as_list();
  const Tokenizer& tokenizer = model.tokenizer();
  if (!options.allow_special_tokens) {
    const auto specials = special_texts(tokenizer);
    for (std::size_t i = 0; i < list.size(); ++i) refuse_special_tokens(list[i], place_of(i), specials);
    refuse_special_tokens(options.tools, "tools", specials);
    refuse_special_tokens(options.documents, "documents", specials);
  }
  const bool last_is_answer = role_of(list, std::ssize(list) - 1) == kAssistant;
  if (options.continue_final_message && !last_is_answer)
    throw ConfigError(messages.mark(), "continue_final_message needs a last message of the role assistant, found '" +
                                           role_of(list, std::ssize(list) - 1) + "'");
  if (options.continue_final_message && options.add_generation_prompt.value_or(false))
    throw ConfigError(messages.mark(), "continue_final_message and add_generation_prompt exclude each other; keep one");
  const bool open = options.add_generation_prompt.value_or(!last_is_answer);
  ChatPrompt prompt;
  prompt.answered = last_is_answer && !open && !options.continue_final_message;

  ChatRequest request{
      options.template_name, options.template_text, {}, options.now.empty() ? chat_time() : options.now};
  const RenderMessages render = [&](const Value::List& some, bool open_answer) {
    request.variables = {{"messages", Value(some)},
                         {"tools", options.tools},
                         {"documents", options.documents},
                         {"add_generation_prompt", Value(open_answer)}};
    for (const auto& variable : options.variables) request.variables.push_back(variable);
    return chat->render(request);
  };
  prompt.text = render(list, open);
  const auto bos = tokenizer.special_ids().bos;
  std::vector<Owner> owners =
      chat_owners(prompt.text, list, open, render, bos ? tokenizer.token(*bos).value_or("") : "");
  if (last_is_answer && !open) {  // the answer stays open: what the template writes behind it is left out
    const Owner last{std::ssize(list) - 1, true};
    const auto end = std::find(owners.rbegin(), owners.rend(), last).base() - owners.begin();
    if (end == 0) throw InputError(place_of(list.size() - 1) + ": the chat template does not write this message");
    owners.resize(end);
    prompt.text.resize(end);
  }
  // The template writes BOS where the model wants it.
  const Encoding encoding = tokenizer.encode(prompt.text, {.add_special_tokens = false});
  prompt.ids = encoding.ids;
  if (prompt.ids.empty()) throw InputError("the chat template makes no text of the messages");
  const std::vector<Owner> characters = by_character(prompt.text, owners);
  const std::int64_t last_turn = std::ssize(list) - 1;
  Owner before;
  prompt.prompt_length = std::ssize(prompt.ids);
  for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
    before = owner_of(encoding.offsets[i], characters, before);
    append(prompt.labels, before, role_of(list, before.turn));
    if (prompt.answered && before == Owner{last_turn, true})
      prompt.prompt_length = std::min(prompt.prompt_length, static_cast<std::int64_t>(i));
  }
  prompt.prompt_text = tokenizer.decode({prompt.ids.begin(), prompt.ids.begin() + prompt.prompt_length}, false);
  return prompt;
}

void label_answer(const Tokenizer& tokenizer, const TokenIds& ids, std::int64_t turn, std::vector<Label>& labels) {
  const TokenIds& specials = tokenizer.all_special_ids();
  for (std::int64_t i = labels.empty() ? 0 : labels.back().span.end; i < std::ssize(ids); ++i)
    append(labels, {turn, !std::binary_search(specials.begin(), specials.end(), ids[i])}, kAssistant);
}

}  // namespace whence::host
