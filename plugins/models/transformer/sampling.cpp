#include "sampling.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include <random>

#include "whence/error.h"

namespace whence::transformer {

void check_generation(const GenerationConfig& config) {
  if (config.max_new_tokens < 0)
    throw ConfigError("max_new_tokens: expected 0 or more, found " + std::to_string(config.max_new_tokens));
  if (!config.do_sample) return;
  if (!(config.temperature > 0))
    throw ConfigError("temperature: expected more than 0, found " + std::to_string(config.temperature) +
                      "; set do_sample to false for the likeliest token");
  if (config.top_k < 0) throw ConfigError("top_k: expected 0 (off) or more, found " + std::to_string(config.top_k));
  if (!(config.top_p > 0 && config.top_p <= 1))
    throw ConfigError("top_p: expected more than 0 and at most 1, found " + std::to_string(config.top_p));
}

std::int64_t Sampler::choose(const Tensor& logits, std::int64_t step) const {
  return config_.do_sample ? draw(logits, step) : logits.argmax().item<std::int64_t>();
}

std::int64_t Sampler::draw(const Tensor& logits, std::int64_t step) const {
  const std::int64_t vocabulary = logits.size(0);
  const std::int64_t kept = config_.top_k > 0 ? std::min(config_.top_k, vocabulary) : vocabulary;
  const auto [scores, ids] = at::topk((logits / config_.temperature).to(at::kDouble), kept);
  const Tensor probabilities = at::softmax(scores, 0);
  const double* p = probabilities.const_data_ptr<double>();

  // The nucleus: the likeliest tokens up to and including the one that reaches top_p.
  std::int64_t end = 0;
  double mass = 0;
  while (end < kept && (end == 0 || mass < config_.top_p)) mass += p[end++];
  double rest = uniform(step) * mass;
  std::int64_t chosen = 0;
  while (chosen + 1 < end && (rest -= p[chosen]) >= 0) ++chosen;
  return ids[chosen].item<std::int64_t>();
}

double Sampler::uniform(std::int64_t step) const {
  std::vector<std::uint32_t> key;
  const auto add = [&key](std::uint64_t number) {
    key.push_back(static_cast<std::uint32_t>(number));
    key.push_back(static_cast<std::uint32_t>(number >> 32));
  };
  add(config_.seed);
  add(static_cast<std::uint64_t>(step));
  for (const std::int64_t id : prompt_) add(static_cast<std::uint64_t>(id));
  std::seed_seq sequence(key.begin(), key.end());
  std::mt19937_64 generator(sequence);
  return static_cast<double>(generator() >> 11) * 0x1p-53;
}

}  // namespace whence::transformer
