#include <ATen/ops/zeros.h>

#include "host/attribute.h"
#include "host/encode_input.h"
#include "host/guard.h"
#include "host/yaml.h"
#include "whence/generation_options.h"

namespace whence::host {
namespace {

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

/// The turn that a generated answer makes, or goes on with.
std::int64_t answer_turn(const InputText& input, const ChatOptions& options) {
  const std::int64_t messages = std::ssize(input.messages.as_list()) + input.generated.has_value();
  return options.continue_final_message ? messages - 1 : messages;
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
    if (has_source) sources.push_back(encode_source(model, inputs[i], inputs[i].text, "the source"));
    TokenIds prompt = has_source ? decoder_start(model) : encode_text(model, inputs[i], inputs[i].text, Side::target);
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
    text.contrast = inputs[i].contrast;
    if (text.contrast)
      text.sequence.contrast = prepare_contrast(model, inputs[i], options.chat, text.sequence, options.find_aligner);
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace whence::host
