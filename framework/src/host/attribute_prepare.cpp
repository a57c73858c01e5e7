#include "host/attribute.h"
#include "host/encode_input.h"
#include "host/generate_texts.h"
#include "host/guard.h"

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
  generate_texts(model, inputs, to_generate, generation, options, sources, ids);

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
    if (inputs[i].explain) set_step_spans(model, *inputs[i].explain, place_of(inputs[i]), text.sequence);
    text.contrast = inputs[i].contrast;
    if (text.contrast)
      text.sequence.contrast = prepare_contrast(model, inputs[i], options.chat, text.sequence, options.find_aligner);
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace whence::host
