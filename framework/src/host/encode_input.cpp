#include "host/encode_input.h"

#include <algorithm>

#include "host/guard.h"

namespace whence::host {
namespace {

std::string token_texts(const Tokenizer& tokenizer, const TokenIds& ids, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < std::min(to, ids.size()); ++i)
    text += (text.empty() ? "" : " ") + tokenizer.token(ids[i]).value_or("?");
  return text;
}

}  // namespace

std::string place_of(const InputText& input) {
  const std::string where = input.where.text();
  return (where.empty() ? "" : where + ": ") + "input '" + input.id + "'";
}

std::string quoted(const std::string& text) {
  constexpr std::size_t kShown = 120;
  if (text.size() <= kShown) return "'" + text + "'";
  std::size_t cut = kShown;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return "'" + text.substr(0, cut) + "...'";
}

Encoding encode_with_places(const Tokenizer& tokenizer, const InputText& input, const std::string& text, Side side,
                            bool open) {
  const Tokenizer& own = tokenizer.on(side);
  const std::string& language = side == Side::source ? input.src_lang : input.tgt_lang;
  Encoding encoding =
      with_place(input.where, "input '" + input.id + "'", [&] { return own.encode(text, {.language = language}); });
  const auto erase = [&](std::ptrdiff_t at) {
    encoding.ids.erase(encoding.ids.begin() + at);
    encoding.tokens.erase(encoding.tokens.begin() + at);
    encoding.offsets.erase(encoding.offsets.begin() + at);
    encoding.special.erase(encoding.special.begin() + at);
  };
  if (open)
    while (!encoding.ids.empty() && encoding.special.back() && encoding.ids.back() == tokenizer.special_ids().eos)
      erase(std::ssize(encoding.ids) - 1);
  const auto bos = tokenizer.special_ids().bos;
  if (bos && encoding.ids.size() > 1 && encoding.ids[0] == *bos && encoding.ids[1] == *bos) erase(0);
  return encoding;
}

TokenIds encode(const Tokenizer& tokenizer, const InputText& input, const std::string& text, Side side, bool open) {
  return encode_with_places(tokenizer, input, text, side, open).ids;
}

TokenIds encode_text(const Model& model, const InputText& input, const std::string& text, Side side) {
  TokenIds ids = encode(model.tokenizer(), input, text, side, side == Side::target);
  if (ids.empty())
    throw InputError(place_of(input) + ": the tokenizer makes no token of " + quoted(text) + "; give another text");
  return ids;
}

void check_length(const Model& model, const InputText& input, std::size_t length, const std::string& what,
                  std::int64_t room) {
  const std::int64_t most = model.info().max_positions;
  if (most > 0 && static_cast<std::int64_t>(length) + room > most)
    throw InputError(place_of(input) + ": " + what + " has " + std::to_string(length) +
                     " tokens, the context of model '" + model.info().name + "' holds " + std::to_string(most) +
                     (room ? " and one must be left to generate" : "") + "; shorten the text");
}

TokenIds encode_forced(const Model& model, const InputText& input, const TokenIds& prompt) {
  if (!input.generated->starts_with(input.text))
    throw InputError(place_of(input) + ": the generated text does not extend the prompt: prompt " + quoted(input.text) +
                     ", generated " + quoted(*input.generated) + "; write the prompt at its beginning, too");
  TokenIds ids = encode(model.tokenizer(), input, *input.generated, Side::target, false);
  if (ids.size() < prompt.size() || !std::equal(prompt.begin(), prompt.end(), ids.begin())) {
    const std::size_t same = std::mismatch(prompt.begin(), prompt.end(), ids.begin(), ids.end()).first - prompt.begin();
    const std::size_t from = same ? same - 1 : 0;
    throw InputError(
        place_of(input) + ": the tokens of the prompt are no prefix of those of the generated text: from token " +
        std::to_string(same) + " on the prompt has '" + token_texts(model.tokenizer(), prompt, from, prompt.size()) +
        "', the generated text '" + token_texts(model.tokenizer(), ids, from, prompt.size() + 1) +
        "'; end the prompt where a token ends, for instance before a space");
  }
  check_length(model, input, ids.size(), "the generated text", 0);
  return ids;
}

ChatPrompt encode_chat(const Model& model, const InputText& input, const ChatOptions& options) {
  Value messages = input.messages;
  if (input.generated) {
    Value::List list = messages.as_list();
    list.push_back(Value(Value::Map{{"role", Value(std::string("assistant"))}, {"content", Value(*input.generated)}}));
    messages = Value(std::move(list), messages.mark());
  }
  return with_place(input.where, "input '" + input.id + "'", [&] { return render_chat(model, messages, options); });
}

TokenIds encode_source(const Model& model, const InputText& input, const std::string& text, const std::string& what) {
  TokenIds ids = encode_text(model, input, text, Side::source);
  check_length(model, input, ids.size(), what, 0);
  return ids;
}

TokenIds decoder_start(const Model& model) {
  if (!model.info().decoder_start)
    throw ModelError(model.info().name +
                     ": the checkpoint does not say which token its decoder starts from; add decoder_start_token_id to "
                     "its generation_config.json");
  return {*model.info().decoder_start};
}

TokenIds encode_target(const Model& model, const InputText& input, TokenIds start) {
  const TokenIds ids = encode(model.tokenizer(), input, *input.generated, Side::target, false);
  start.insert(start.end(), ids.begin(), ids.end());
  check_length(model, input, start.size(), "the generated text", 0);
  return start;
}

std::vector<Token> tokens_of(const Tokenizer& tokenizer, const TokenIds& ids) {
  std::vector<Token> tokens;
  for (const std::int64_t id : ids) tokens.push_back({tokenizer.token(id).value_or(""), id});
  return tokens;
}

}  // namespace whence::host
