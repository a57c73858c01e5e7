#include "host/context_contrast.h"

#include "host/encode_input.h"
#include "host/generate_texts.h"

namespace whence::host {
namespace {

TokenIds before(const ReadTexts& texts, std::int64_t position) {
  return {texts.target.ids.begin(), texts.target.ids.begin() + position};
}

/// The first token that a word has in place of the one at a position.
std::int64_t first_token(const ContextTask& task, const ReadTexts& without, std::int64_t position,
                         const std::string& word) {
  const ReadText& target = without.target;
  const Span own = target.bytes[static_cast<std::size_t>(position)];
  std::string text = target.text.substr(0, static_cast<std::size_t>(own.start));
  const bool opens_word =
      target.text.find_first_not_of(' ', static_cast<std::size_t>(own.start)) != static_cast<std::size_t>(own.start);
  if (opens_word && !word.starts_with(' ')) text += ' ';
  const std::size_t letter = text.size() + word.find_first_not_of(" \t\r\n");
  text += word;
  std::int64_t character = 0;
  for (std::size_t i = 0; i < letter; ++i) character += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
  const Encoding encoding = encode_with_places(task.model.tokenizer(), task.how, text, Side::target, /*open=*/true);
  for (std::size_t i = 0; i < encoding.ids.size(); ++i)
    if (!encoding.special[i] && encoding.offsets[i].start <= character && character < encoding.offsets[i].end)
      return encoding.ids[i];
  throw InputError(place_of(task.how) + ": the tokenizer makes no token of the contextless next token '" + word +
                   "'; give another word");
}

std::vector<std::string> asked_words(const ContextTask& task, const ReadTexts& without,
                                     const std::vector<OutputToken>& tokens,
                                     const std::vector<std::int64_t>& selected) {
  const Tokenizer& tokenizer = task.model.tokenizer().on(Side::target);
  std::vector<std::string> words;
  for (const std::int64_t index : selected) {
    const OutputToken& token = tokens[static_cast<std::size_t>(index)];
    const std::string question = "Without context: " + written(tokenizer, task.kept, before(without, token.without)) +
                                 "\nWhich word comes next instead of '" + token.text + "'?";
    std::string word;
    while (word.empty()) {
      const auto answer = task.options.ask ? task.options.ask(question) : std::nullopt;
      if (!answer)
        throw InputError(place_of(task.how) + ": nobody says which word comes next without context; give " +
                         std::to_string(selected.size()) + " as contextless_output_next_tokens");
      word = stripped(*answer);
    }
    words.push_back(word);
  }
  return words;
}

TokenIds generated(const ContextTask& task, const ReadTexts& without, const std::vector<OutputToken>& tokens,
                   const std::vector<std::int64_t>& selected) {
  GenerationConfig next = task.generation;
  next.max_new_tokens = 1;
  next.max_length = next.min_length = {};
  next.min_new_tokens = 0;
  next.forced_eos_token_id = TokenIds();  // the end of the text is not what is asked for
  std::vector<InputText> inputs;
  std::vector<std::size_t> wanted;
  std::vector<TokenIds> ids, sources;
  for (const std::int64_t index : selected) {
    wanted.push_back(inputs.size());
    inputs.push_back(task.how);
    inputs.back().tgt_lang.clear();  // the mark of a language, if any, is in the ids
    ids.push_back(before(without, tokens[static_cast<std::size_t>(index)].without));
    if (without.source) sources.push_back(without.source->ids);
  }
  const RunListener& listener = task.options.listener;
  const Progress progress = listener.phase ? listener.phase("contextless outputs") : Progress();
  generate_texts(task.model, inputs, wanted, next, {.batch_size = task.options.batch_size, .progress = progress},
                 sources, ids);
  TokenIds made;
  for (const TokenIds& text : ids) made.push_back(text.back());
  return made;
}

}  // namespace

TokenIds contextless_next_tokens(const ContextTask& task, const ReadTexts& without,
                                 const std::vector<OutputToken>& tokens, const std::vector<std::int64_t>& selected) {
  std::vector<std::string> words = task.input.contextless_next_tokens;
  if (words.empty() && !task.spec.ask_for_contextless_next_tokens) return generated(task, without, tokens, selected);
  if (words.empty()) words = asked_words(task, without, tokens, selected);
  if (words.size() != selected.size()) {
    std::string shown;
    for (const std::int64_t index : selected)
      shown += (shown.empty() ? "'" : ", '") + tokens[static_cast<std::size_t>(index)].text + "'";
    throw InputError(place_of(task.how) + ": contextless_output_next_tokens has " + std::to_string(words.size()) +
                     " word(s), but " + std::to_string(selected.size()) + " token(s) depend on context" +
                     (shown.empty() ? "" : ": " + shown) + "; give one for each, in this order");
  }
  TokenIds ids;
  for (std::size_t i = 0; i < words.size(); ++i)
    ids.push_back(first_token(task, without, tokens[static_cast<std::size_t>(selected[i])].without, words[i]));
  return ids;
}

}  // namespace whence::host
