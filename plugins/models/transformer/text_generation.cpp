#include "text_generation.h"

#include "beam_search.h"
#include "greedy_search.h"
#include "whence/error.h"
#include "whence/generation_options.h"

namespace whence::transformer {
namespace {

/// Token sequences of words, as they stand alone and behind a space.
void add_bad_words(const Tokenizer& tokenizer, GenerationConfig& config) {
  if (!config.bad_words) return;
  std::vector<TokenIds>& sequences = config.bad_words_ids ? *config.bad_words_ids : config.bad_words_ids.emplace();
  for (const std::string& word : *config.bad_words)
    for (const std::string& text : {word, " " + word})
      if (TokenIds ids = tokenizer.encode(text, {.add_special_tokens = false}).ids; !ids.empty())
        sequences.push_back(std::move(ids));
}

std::unique_ptr<Search> make_search(SearchTerms terms) {
  if (*terms.config.num_beams > 1) return std::make_unique<BeamSearch>(std::move(terms));
  return std::make_unique<GreedySearch>(std::move(terms));
}

}  // namespace

Generation generate_texts(NextTokenScorer& scorer, const ModelInfo& info, const Tokenizer& tokenizer,
                          const std::vector<TokenIds>& prompts, const GenerationConfig& asked,
                          const GenerationProgress& progress) {
  GenerationConfig config = resolved_generation(asked, info);
  add_bad_words(tokenizer, config);
  if (!config.sequence_ids.empty() && config.sequence_ids.size() != prompts.size())
    throw ConfigError("sequence_ids: expected one for each of the " + std::to_string(prompts.size()) +
                      " prompts, found " + std::to_string(config.sequence_ids.size()));
  std::vector<std::unique_ptr<Search>> searches;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::int64_t length = std::ssize(prompts[i]), limit = most_tokens(config, info, length);
    searches.push_back(nullptr);
    if (limit <= length) continue;
    searches.back() = make_search(
        {config, LogitsProcessors(config, length, limit), StoppingCriteria(config, tokenizer, length, limit),
         config.sequence_ids.empty() ? Sampler(config.seed, prompts[i]) : Sampler(config.seed, config.sequence_ids[i]),
         prompts[i], limit});
  }

  std::vector<std::int64_t> first_row(searches.size(), 0);
  for (std::int64_t made = 0;;) {
    std::vector<OpenText> texts;
    for (std::size_t i = 0; i < searches.size(); ++i) {
      const std::int64_t rows_before = std::exchange(first_row[i], std::ssize(texts));
      if (!searches[i]) continue;
      for (OpenText text : searches[i]->open()) {
        text.sequence = static_cast<std::int64_t>(i);
        if (text.parent >= 0) text.parent += rows_before;
        texts.push_back(std::move(text));
      }
    }
    if (texts.empty()) break;
    const Tensor logits = scorer.next_logits(texts);
    for (std::size_t i = 0; i < searches.size(); ++i) {
      if (!searches[i] || searches[i]->open().empty()) continue;
      searches[i]->advance(logits.narrow(0, first_row[i], std::ssize(searches[i]->open())));
      if (progress) progress(++made);
    }
  }

  Generation result;
  for (const auto& search : searches) {
    Continuation continuation = search ? search->found() : Continuation{};
    result.ids.push_back(std::move(continuation.ids));
    result.reasons.push_back(continuation.reason);
  }
  return result;
}

}  // namespace whence::transformer
