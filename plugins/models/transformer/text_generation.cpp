#include "text_generation.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "sampling.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Runs a growing text through the decoder, new tokens only where the cached keys stay valid.
class CachedText {
 public:
  explicit CachedText(const Decoder<float>& decoder) : decoder_(decoder) { clear(); }

  /// Logits [V] of the token after `ids`, which must extend those of the last call.
  Tensor next_logits(const TokenIds& ids) {
    const auto length = static_cast<std::int64_t>(ids.size());
    if (!decoder_.rotary().same_frequencies(cache_.length.front(), length)) clear();
    const std::int64_t held = cache_.length.front();
    const at::ArrayRef<std::int64_t> fresh(ids.data() + held, ids.size() - static_cast<std::size_t>(held));
    RowLayout layout;
    layout.add({0, 0, held, length - held, &cache_, 0});
    KeyValues made;
    DecoderPass pass{layout, {length}};
    pass.keep = &made;
    const Tensor states = decoder_.run(decoder_.embed(at::tensor(fresh, at::kLong)), pass);
    append(made, length);
    return decoder_.head().forward(decoder_.normalise_rows(states.slice(0, -1))).squeeze(0);
  }

 private:
  void clear() {
    cache_ = {};
    cache_.layers.resize(decoder_.config().layers.size());
    cache_.first_row = {0};
    cache_.length = {0};
  }

  /// Puts the keys and values of new rows behind those held; room grows by doubling.
  void append(const KeyValues& made, std::int64_t length) {
    const std::int64_t held = cache_.length.front();
    cache_.value_column = made.value_column - made.key_column;
    for (std::size_t i = 0; i < made.layers.size(); ++i) {
      const Tensor rows = made.layers[i].slice(1, made.key_column);
      Tensor& store = cache_.layers[i];
      if (!store.defined() || store.size(0) < length) {
        const Tensor larger = at::empty({std::max(length + kRoom, 2 * held), rows.size(1)}, rows.options());
        if (held > 0) larger.narrow(0, 0, held).copy_(store.narrow(0, 0, held));
        store = larger;
      }
      store.narrow(0, held, rows.size(0)).copy_(rows);
    }
    cache_.length = {length};
  }

  static constexpr std::int64_t kRoom = 32;

  const Decoder<float>& decoder_;
  KeyValues cache_;
};

bool holds_any(const std::string& text, const std::vector<std::string>& stops) {
  return std::any_of(stops.begin(), stops.end(),
                     [&](const auto& stop) { return text.find(stop) != std::string::npos; });
}

}  // namespace

Generation generate_texts(const Decoder<float>& decoder, const Tokenizer& tokenizer,
                          const std::vector<TokenIds>& prompts, const GenerationConfig& config, const TokenIds& eos,
                          const GenerationProgress& progress) {
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
