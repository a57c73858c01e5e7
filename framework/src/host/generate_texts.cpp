#include "host/generate_texts.h"

#include <ATen/ops/zeros.h>

#include "host/encode_input.h"
#include "host/guard.h"
#include "host/yaml.h"
#include "whence/generation_options.h"

namespace whence::host {
namespace {

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

}  // namespace

void generate_texts(const Model& model, const std::vector<InputText>& inputs, const std::vector<std::size_t>& wanted,
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

}  // namespace whence::host
