#include <ATen/ops/zeros.h>

#include "host/attribute.h"
#include "host/guard.h"
#include "host/yaml.h"
#include "whence/generation_options.h"

namespace whence::host {
namespace {

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

/// Ids of a text as one sequence: a BOS that both the text and the tokenizer wrote counts once, and a prompt stays
/// open, since an end mark of the tokenizer's template would stand between it and its continuation.
TokenIds encode(const Tokenizer& tokenizer, const InputText& input, const std::string& text, Side side, bool open) {
  const Tokenizer& own = tokenizer.on(side);
  const std::string& language = side == Side::source ? input.src_lang : input.tgt_lang;
  Encoding encoding =
      with_place(input.where, "input '" + input.id + "'", [&] { return own.encode(text, {.language = language}); });
  TokenIds ids = std::move(encoding.ids);
  if (open)
    while (!ids.empty() && encoding.special[ids.size() - 1] && ids.back() == tokenizer.special_ids().eos)
      ids.pop_back();
  const auto bos = tokenizer.special_ids().bos;
  if (bos && ids.size() > 1 && ids[0] == *bos && ids[1] == *bos) ids.erase(ids.begin());
  return ids;
}

/// Ids of a text that cannot do without any: a prompt, which stays open, or a source.
TokenIds encode_text(const Model& model, const InputText& input, Side side) {
  TokenIds ids = encode(model.tokenizer(), input, input.text, side, side == Side::target);
  if (ids.empty())
    throw InputError(place_of(input) + ": the tokenizer makes no token of " + quoted(input.text) +
                     "; give another text");
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

std::string token_texts(const Tokenizer& tokenizer, const TokenIds& ids, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < std::min(to, ids.size()); ++i)
    text += (text.empty() ? "" : " ") + tokenizer.token(ids[i]).value_or("?");
  return text;
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

/// A chat, with the given answer as its last message.
ChatPrompt encode_chat(const Model& model, const InputText& input, const ChatOptions& options) {
  Value messages = input.messages;
  if (input.generated) {
    Value::List list = messages.as_list();
    list.push_back(Value(Value::Map{{"role", Value(std::string("assistant"))}, {"content", Value(*input.generated)}}));
    messages = Value(std::move(list), messages.mark());
  }
  return with_place(input.where, "input '" + input.id + "'", [&] { return render_chat(model, messages, options); });
}

/// The turn that a generated answer makes, or goes on with.
std::int64_t answer_turn(const InputText& input, const ChatOptions& options) {
  const std::int64_t messages = std::ssize(input.messages.as_list()) + input.generated.has_value();
  return options.continue_final_message ? messages - 1 : messages;
}

/// Ids of the source of an encoder-decoder, with the marks that its tokenizer adds.
TokenIds encode_source(const Model& model, const InputText& input) {
  TokenIds ids = encode_text(model, input, Side::source);
  check_length(model, input, ids.size(), "the source", 0);
  return ids;
}

/// The token that the decoder of an encoder-decoder begins with.
TokenIds decoder_start(const Model& model) {
  if (!model.info().decoder_start)
    throw ModelError(model.info().name +
                     ": the checkpoint does not say which token its decoder starts from; add decoder_start_token_id to "
                     "its generation_config.json");
  return {*model.info().decoder_start};
}

/// The given target of an encoder-decoder behind the token that its decoder starts from.
TokenIds encode_target(const Model& model, const InputText& input, TokenIds start) {
  const TokenIds ids = encode(model.tokenizer(), input, *input.generated, Side::target, false);
  start.insert(start.end(), ids.begin(), ids.end());
  check_length(model, input, start.size(), "the generated text", 0);
  return start;
}

/// Explained positions of a target of `length` tokens whose first `prompt` are given.
Span steps_of(const InputText& input, std::int64_t prompt, std::int64_t length) {
  const auto counted = [&](const std::optional<std::int64_t>& position, std::int64_t otherwise) {
    return !position ? otherwise : *position < 0 ? *position + length : *position;
  };
  const Span steps{counted(input.start, prompt), counted(input.end, length)};
  const auto range = [&] { return "[" + std::to_string(steps.start) + ", " + std::to_string(steps.end) + ")"; };
  if (!input.start && !input.end && prompt == length)
    throw InputError(place_of(input) +
                     ": the generated text adds no token to the prompt, so there is no step to explain; extend it");
  if (steps.start < 1)
    throw InputError(place_of(input) + ": positions " + range() +
                     " start before 1; the first token has no prefix that could explain it");
  if (steps.end > length)
    throw InputError(place_of(input) + ": positions " + range() + " end beyond the " + std::to_string(length) +
                     " tokens of the text; negative positions count from the end");
  if (steps.start >= steps.end)
    throw InputError(place_of(input) + ": positions " + range() + " hold no step; start must be below end (prompt: " +
                     std::to_string(prompt) + " tokens, text: " + std::to_string(length) + ")");
  return steps;
}

PaddedIds padded(const std::vector<const TokenIds*>& rows) {
  std::size_t longest = 0;
  for (const TokenIds* row : rows) longest = std::max(longest, row->size());
  const auto count = static_cast<std::int64_t>(rows.size());
  PaddedIds batch{at::zeros({count, static_cast<std::int64_t>(longest)}, at::kLong), at::zeros({count}, at::kLong)};
  auto ids = batch.ids.accessor<std::int64_t, 2>();
  auto lengths = batch.lengths.accessor<std::int64_t, 1>();
  for (std::int64_t b = 0; b < count; ++b) {
    for (std::size_t l = 0; l < rows[b]->size(); ++l) ids[b][static_cast<std::int64_t>(l)] = (*rows[b])[l];
    lengths[b] = static_cast<std::int64_t>(rows[b]->size());
  }
  return batch;
}

/// The token that a continuation in the language of the target begins with; empty where the input names none.
std::optional<std::int64_t> language_token(const Model& model, const InputText& input, const GenerationConfig& asked) {
  if (input.tgt_lang.empty()) return std::nullopt;
  const Tokenizer& tokenizer = model.tokenizer().on(Side::target);
  const EncodeOptions options{.language = input.tgt_lang};
  // An empty text says what is wrong with a language that there is not.
  with_place(input.where, "input '" + input.id + "'", [&] { tokenizer.encode("", options); });
  const auto language = tokenizer.language_id(input.tgt_lang);
  if (asked.forced_bos_token_id && asked.forced_bos_token_id != language)
    throw InputError(place_of(input) + ": tgt_lang '" + input.tgt_lang + "' is token " + std::to_string(*language) +
                     ", but forced_bos_token_id is " + std::to_string(*asked.forced_bos_token_id) + "; leave one out");
  return language;
}

/// Tokens that may be added to a prompt.
std::int64_t room(const Model& model, const GenerationConfig& config, const TokenIds& prompt) {
  const std::int64_t length = std::ssize(prompt);
  return most_tokens(config, model.info(), length) - length;
}

/// Says what the checkpoint changes about generating, since the texts depend on it.
void tell_checkpoint_options(const Model& model, const GenerationConfig& asked, const GenerationConfig& resolved,
                             const Notice& warn) {
  ModelInfo plain = model.info();
  plain.generation = {};
  const Value without = generation_options(resolved_generation({.seed = asked.seed}, plain)),
              with = generation_options(resolved), given = generation_options(asked);
  std::string changed;
  for (const auto& [name, value] : with.as_map()) {
    if (name == "eos_token_id" || given.find(name)) continue;
    if (const Value* other = without.find(name); other && *other == value) continue;
    std::string shown = value.is_list() ? "" : " " + to_yaml(value);
    if (shown.ends_with('\n')) shown.pop_back();
    changed += (changed.empty() ? "" : ", ") + name + shown;
  }
  if (!changed.empty())
    warn("texts are generated as the checkpoint '" + model.info().name + "' says: " + changed +
         "; give these options to change that");
}

/// Appends a continuation to every id list in `ids`. `sources` is empty for decoder-only models.
void generate(const Model& model, const std::vector<InputText>& inputs, const std::vector<std::size_t>& wanted,
              const GenerationConfig& asked, const PrepareOptions& options, const std::vector<TokenIds>& sources,
              std::vector<TokenIds>& ids) {
  std::vector<GenerationConfig> own;  // of every wanted text, with its language
  for (const std::size_t i : wanted) {
    own.push_back(asked);
    if (const auto language = language_token(model, inputs[i], asked)) own.back().forced_bos_token_id = language;
  }
  const GenerationConfig config = resolved_generation(asked, model.info());
  if (options.warn && !wanted.empty()) tell_checkpoint_options(model, own.front(), config, options.warn);
  for (const std::size_t i : wanted) {
    if (asked.forced_bos_token_id && ids[i].size() > 1 && options.warn)
      options.warn(place_of(inputs[i]) +
                   ": forced_bos_token_id has no effect, since it comes behind a text of one token " +
                   "and the text has " + std::to_string(ids[i].size()));
    if (room(model, config, ids[i]) < 1)
      throw InputError(place_of(inputs[i]) + ": the text has " + std::to_string(ids[i].size()) +
                       " tokens and max_length is " + std::to_string(*config.max_length) +
                       ", so there is none left to generate; raise it, or give max_new_tokens in its place");
  }
  for (std::size_t first = 0, last = 0; first < wanted.size(); first = last) {
    // Texts of one batch begin with the same token.
    const std::size_t most_texts = std::min(wanted.size(), first + static_cast<std::size_t>(options.batch_size));
    for (last = first + 1; last < most_texts && own[last] == own[first];) ++last;
    std::vector<const TokenIds*> prompts, own_sources;
    GenerationConfig batch = own[first];
    std::int64_t most = 0;
    for (std::size_t i = first; i < last; ++i) {
      prompts.push_back(&ids[wanted[i]]);
      if (!sources.empty()) own_sources.push_back(&sources[wanted[i]]);
      batch.sequence_ids.push_back(inputs[wanted[i]].id);
      most += room(model, config, ids[wanted[i]]);
    }
    GenerationProgress progress;
    if (options.progress) progress = [&](std::int64_t made) { options.progress(std::min(made, most), most); };
    Inputs begun{.target = padded(prompts)};
    if (!sources.empty()) begun.source = padded(own_sources);
    const Generation made = model.generate(begun, batch, progress);
    for (std::size_t i = first; i < last; ++i) {
      TokenIds& text = ids[wanted[i]];
      const TokenIds& added = made.ids.at(i - first);
      const std::int64_t left = room(model, config, text);
      const std::int64_t wished =
          config.max_new_tokens ? *config.max_new_tokens : *config.max_length - std::ssize(text);
      if (options.warn && left < wished && std::ssize(added) == left)
        options.warn(place_of(inputs[wanted[i]]) + ": the continuation ends after " + std::to_string(left) +
                     " tokens, where the context of model '" + model.info().name + "' is full");
      if (added.empty())
        throw InputError(place_of(inputs[wanted[i]]) +
                         ": the model generated nothing; raise max_new_tokens or shorten the text");
      text.insert(text.end(), added.begin(), added.end());
    }
    // Texts may end before they are as long as they may be.
    if (options.progress) options.progress(most, most);
  }
}

std::vector<Token> tokens_of(const Tokenizer& tokenizer, const TokenIds& ids) {
  std::vector<Token> tokens;
  for (const std::int64_t id : ids) tokens.push_back({tokenizer.token(id).value_or(""), id});
  return tokens;
}

}  // namespace

void check_input(const InputText& input) {
  if (!input.messages.is_null()) {
    with_place(input.where, "input '" + input.id + "'", [&] { check_messages(input.messages); });
    return;
  }
  if (input.text.empty())
    throw InputError(place_of(input) + ": the text is empty; a model needs at least one token to start from");
}

std::vector<PreparedText> prepare_sequences(const Model& model, const std::vector<InputText>& inputs,
                                            const GenerationConfig& generation, const PrepareOptions& options) {
  const bool has_source = model.info().kind == ModelKind::encoder_decoder;
  std::vector<TokenIds> ids, sources;
  std::vector<std::int64_t> prompt_lengths;
  std::vector<std::size_t> to_generate;
  std::vector<ChatPrompt> chats(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check_input(inputs[i]);
    if (!has_source && !inputs[i].src_lang.empty())
      throw InputError(place_of(inputs[i]) + ": src_lang '" + inputs[i].src_lang + "' has no effect, since model '" +
                       model.info().name + "' has no source; leave it out");
    if (!inputs[i].messages.is_null()) {
      chats[i] = encode_chat(model, inputs[i], options.chat);
      ids.push_back(chats[i].ids);
      prompt_lengths.push_back(chats[i].prompt_length);
      if (!chats[i].answered) to_generate.push_back(i);
      check_length(model, inputs[i], ids.back().size(), "the chat", chats[i].answered ? 0 : 1);
      continue;
    }
    if (has_source) sources.push_back(encode_source(model, inputs[i]));
    TokenIds prompt = has_source ? decoder_start(model) : encode_text(model, inputs[i], Side::target);
    prompt_lengths.push_back(std::ssize(prompt));
    if (inputs[i].generated) {
      ids.push_back(has_source ? encode_target(model, inputs[i], std::move(prompt))
                               : encode_forced(model, inputs[i], prompt));
    } else {
      check_length(model, inputs[i], prompt.size(), "the text", 1);
      to_generate.push_back(i);
      ids.push_back(std::move(prompt));
    }
  }
  if (to_generate.empty() && options.warn && !(generation == GenerationConfig{.seed = generation.seed}))
    options.warn("the generation options have no effect, since every text is given");
  generate(model, inputs, to_generate, generation, options, sources, ids);

  std::vector<PreparedText> texts;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    PreparedText text;
    const bool chat = !inputs[i].messages.is_null();
    text.input_text = chat ? chats[i].prompt_text : inputs[i].text;
    text.constrained = chat ? chats[i].answered : inputs[i].generated.has_value();
    if (chat)
      text.generated_text = model.tokenizer().decode(ids[i], false);
    else
      text.generated_text =
          text.constrained ? *inputs[i].generated : model.tokenizer().on(Side::target).decode(ids[i], true);
    if (chat) {
      text.sequence.target_labels = std::move(chats[i].labels);
      label_answer(model.tokenizer(), ids[i], answer_turn(inputs[i], options.chat), text.sequence.target_labels);
    }
    text.sequence.id = inputs[i].id;
    if (has_source) text.sequence.source = tokens_of(model.tokenizer().on(Side::source), sources[i]);
    text.sequence.target = tokens_of(model.tokenizer().on(Side::target), ids[i]);
    text.sequence.steps = steps_of(inputs[i], prompt_lengths[i], static_cast<std::int64_t>(ids[i].size()));
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace whence::host
