#include "logits_processors.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nansum.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/topk.h>

#include <limits>
#include <unordered_set>

namespace whence::transformer {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::size_t index(std::int64_t id) { return static_cast<std::size_t>(id); }

float* values_of(const Tensor& scores) { return scores.mutable_data_ptr<float>(); }

/// Bans the tokens `order[i]` for which `banned[i]`.
void ban_in_order(const Tensor& scores, const Tensor& order, const Tensor& banned) {
  scores.masked_fill_(at::empty_like(banned).scatter_(0, order, banned), kNever);
}

/// True when `ids` end with all tokens of `sequence` but its last.
bool would_complete(const TokenIds& ids, const TokenIds& sequence) {
  const std::size_t known = sequence.size() - 1;
  return known <= ids.size() && std::equal(sequence.begin(), sequence.end() - 1, ids.end() - std::ptrdiff_t(known));
}

}  // namespace

void penalise_repetition(const TokenIds& ids, const Tensor& scores, double penalty) {
  const auto factor = static_cast<float>(penalty);
  float* values = values_of(scores);
  for (const std::int64_t id : std::unordered_set(ids.begin(), ids.end())) {
    float& value = values[index(id)];
    value = value < 0 ? value * factor : value / factor;
  }
}

void ban_repeated_ngrams(const TokenIds& ids, const Tensor& scores, std::int64_t size) {
  const auto known = static_cast<std::ptrdiff_t>(size - 1);
  if (std::ssize(ids) < known) return;
  for (auto next = ids.begin() + known; next != ids.end(); ++next)
    if (std::equal(next - known, next, ids.end() - known)) values_of(scores)[index(*next)] = kNever;
}

void ban_sequences(const TokenIds& ids, const Tensor& scores, const std::vector<TokenIds>& sequences) {
  for (const TokenIds& sequence : sequences)
    if (would_complete(ids, sequence)) values_of(scores)[index(sequence.back())] = kNever;
}

void ban_tokens(const Tensor& scores, const TokenIds& banned) {
  for (const std::int64_t id : banned) values_of(scores)[index(id)] = kNever;
}

void force_tokens(const Tensor& scores, const TokenIds& forced) {
  scores.fill_(kNever);
  for (const std::int64_t id : forced) values_of(scores)[index(id)] = 0;
}

void apply_temperature(const Tensor& scores, double temperature) { scores.div_(temperature); }

void keep_top_k(const Tensor& scores, std::int64_t k) {
  const Tensor best = std::get<0>(at::topk(scores, std::min(k, scores.size(0))));
  scores.masked_fill_(scores < best[-1], kNever);
}

void keep_top_p(const Tensor& scores, double p, std::int64_t least) {
  const auto [sorted, order] = at::sort(scores);
  const Tensor banned = at::cumsum(at::softmax(sorted, 0), 0) <= 1 - p;
  banned.slice(0, std::max<std::int64_t>(0, scores.size(0) - least)).fill_(false);
  ban_in_order(scores, order, banned);
}

void keep_min_p(const Tensor& scores, double p, std::int64_t least) {
  const Tensor probabilities = at::softmax(scores, 0);
  const Tensor order = at::argsort(scores, 0, /*descending=*/true);
  const Tensor banned = (probabilities < p * probabilities.max()).index_select(0, order);
  banned.slice(0, 0, least).fill_(false);
  ban_in_order(scores, order, banned);
}

void keep_typical(const Tensor& scores, double p, std::int64_t least) {
  const Tensor logs = at::log_softmax(scores, 0);
  const Tensor entropy = -at::nansum(logs * at::exp(logs));
  const auto [distance, order] = at::sort(at::abs(-logs - entropy));
  const Tensor reached = at::cumsum(at::softmax(scores.index_select(0, order), 0), 0);
  const std::int64_t last = std::min((reached < p).sum().item<std::int64_t>(), scores.size(0) - 1);
  const Tensor banned = distance > distance[last];
  banned.slice(0, 0, least).fill_(false);
  ban_in_order(scores, order, banned);
}

LogitsProcessors::LogitsProcessors(const GenerationConfig& config, std::int64_t prompt, std::int64_t limit) {
  const auto add = [this](auto processor) { processors_.emplace_back(std::move(processor)); };
  if (const double penalty = *config.repetition_penalty; penalty != 1)
    add([=](const TokenIds& ids, const Tensor& scores) { penalise_repetition(ids, scores, penalty); });
  if (const std::int64_t size = *config.no_repeat_ngram_size; size > 0)
    add([=](const TokenIds& ids, const Tensor& scores) { ban_repeated_ngrams(ids, scores, size); });
  const TokenIds& eos = *config.eos;
  if (config.bad_words_ids) {
    std::vector<TokenIds> words = *config.bad_words_ids;
    // A text may always end.
    std::erase_if(words, [&](const TokenIds& word) {
      return word.size() == 1 && std::find(eos.begin(), eos.end(), word[0]) != eos.end();
    });
    add([words](const TokenIds& ids, const Tensor& scores) { ban_sequences(ids, scores, words); });
  }
  const std::int64_t least = std::max(config.min_length.value_or(0), prompt + config.min_new_tokens.value_or(0));
  if (least > prompt)
    add([=](const TokenIds& ids, const Tensor& scores) {
      if (std::ssize(ids) < least) ban_tokens(scores, eos);
    });
  if (config.forced_bos_token_id)
    add([bos = TokenIds{*config.forced_bos_token_id}](const TokenIds& ids, const Tensor& scores) {
      if (ids.size() == 1) force_tokens(scores, bos);
    });
  if (config.forced_eos_token_id && !config.forced_eos_token_id->empty())
    add([limit, forced = *config.forced_eos_token_id](const TokenIds& ids, const Tensor& scores) {
      if (std::ssize(ids) == limit - 1) force_tokens(scores, forced);
    });
  if (config.suppress_tokens)
    add([banned = *config.suppress_tokens](const TokenIds&, const Tensor& scores) { ban_tokens(scores, banned); });
  if (config.begin_suppress_tokens) {
    const std::int64_t first = prompt == 1 && config.forced_bos_token_id ? 2 : prompt;
    add([first, banned = *config.begin_suppress_tokens](const TokenIds& ids, const Tensor& scores) {
      if (std::ssize(ids) == first) ban_tokens(scores, banned);
    });
  }
  if (*config.do_sample) {
    // A beam search needs a text that goes on beside all that end.
    const std::int64_t kept = *config.num_beams > 1 ? 1 + std::max<std::int64_t>(1, std::ssize(eos)) : 1;
    if (const double temperature = *config.temperature; temperature != 1)
      add([=](const TokenIds&, const Tensor& scores) { apply_temperature(scores, temperature); });
    if (*config.top_k > 0)
      add([k = std::max(*config.top_k, kept)](const TokenIds&, const Tensor& scores) { keep_top_k(scores, k); });
    if (const double p = *config.top_p; p < 1)
      add([=](const TokenIds&, const Tensor& scores) { keep_top_p(scores, p, kept); });
    if (const double p = *config.min_p; p > 0)
      add([=](const TokenIds&, const Tensor& scores) { keep_min_p(scores, p, kept); });
    if (const double p = *config.typical_p; p < 1)
      add([=](const TokenIds&, const Tensor& scores) { keep_typical(scores, p, kept); });
  }
  if (*config.renormalize_logits)
    add([](const TokenIds&, const Tensor& scores) { scores.copy_(at::log_softmax(scores, 0)); });
}

}  // namespace whence::transformer
