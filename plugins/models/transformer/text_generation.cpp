#include "text_generation.h"

#include <ATen/ops/tensor.h>

#include "sampling.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Runs a growing text through the decoder, new tokens only where the cached keys stay valid.
class CachedText {
 public:
  explicit CachedText(const Decoder& decoder) : decoder_(decoder), cache_(decoder.config().layers.size()) {}

  /// Logits [V] of the token after `ids`, which must extend those of the last call.
  Tensor next_logits(const TokenIds& ids) {
    const auto length = static_cast<std::int64_t>(ids.size());
    if (!decoder_.rotary().same_frequencies(cache_.length(), length))
      cache_ = KeyValueCache(decoder_.config().layers.size());
    const at::ArrayRef<std::int64_t> fresh(ids.data() + cache_.length(),
                                           ids.size() - static_cast<std::size_t>(cache_.length()));
    const DecoderPass pass{{length}, &cache_};
    const Tensor states = decoder_.run(decoder_.embed(at::tensor(fresh, at::kLong).unsqueeze(0)), pass).states;
    return decoder_.logits(decoder_.normalise(states.select(1, -1))).squeeze(0);
  }

 private:
  const Decoder& decoder_;
  KeyValueCache cache_;
};

bool holds_any(const std::string& text, const std::vector<std::string>& stops) {
  return std::any_of(stops.begin(), stops.end(),
                     [&](const auto& stop) { return text.find(stop) != std::string::npos; });
}

}  // namespace

Generation generate_texts(const Decoder& decoder, const Tokenizer& tokenizer, const std::vector<TokenIds>& prompts,
                          const GenerationConfig& config, const TokenIds& eos, const GenerationProgress& progress) {
  check_generation(config);
  if (std::find(config.stop.begin(), config.stop.end(), "") != config.stop.end())
    throw ConfigError("stop: expected texts that are not empty");
  const std::int64_t positions = decoder.config().positions;
  const TokenIds& ends = config.eos ? *config.eos : eos;
  Generation result;
  std::int64_t made = 0;
  for (const TokenIds& prompt : prompts) {
    const Sampler sampler(config, prompt);
    const std::int64_t room = positions - static_cast<std::int64_t>(prompt.size());
    CachedText text(decoder);
    TokenIds ids = prompt, continuation;
    StopReason reason = StopReason::length;
    for (std::int64_t step = 0; step < std::min(config.max_new_tokens, room) && reason == StopReason::length; ++step) {
      const std::int64_t id = sampler.choose(text.next_logits(ids), step);
      ids.push_back(id);
      continuation.push_back(id);
      if (progress) progress(++made);
      if (std::find(ends.begin(), ends.end(), id) != ends.end())
        reason = StopReason::eos;
      else if (!config.stop.empty() &&
               holds_any(tokenizer.decode(continuation, /*skip_special_tokens=*/false), config.stop))
        reason = StopReason::stop_text;
    }
    result.ids.push_back(std::move(continuation));
    result.reasons.push_back(reason);
  }
  return result;
}

}  // namespace whence::transformer
