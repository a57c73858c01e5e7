#include "cached_decoder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

namespace whence::transformer {
namespace {

constexpr std::int64_t kRoom = 32;

std::int64_t& length_of(KeyValues& cache) { return cache.length.front(); }

KeyValues empty_cache(std::size_t layers) {
  KeyValues cache;
  cache.layers.resize(layers);
  cache.first_row = {0};
  cache.length = {0};
  return cache;
}

KeyValues copy_of(const KeyValues& cache) {
  KeyValues copy = cache;
  for (Tensor& layer : copy.layers) layer = layer.clone();
  return copy;
}

/// Puts the keys and values of some rows of a pass behind those held; room grows by doubling.
void append(const KeyValues& made, const Segment& rows, KeyValues& cache) {
  const std::int64_t held = length_of(cache);
  cache.value_column = made.value_column - made.key_column;
  for (std::size_t i = 0; i < made.layers.size(); ++i) {
    const Tensor fresh = made.layers[i].narrow(0, rows.row, rows.count).slice(1, made.key_column);
    Tensor& store = cache.layers[i];
    if (!store.defined() || store.size(0) < rows.end()) {
      const Tensor larger = at::empty({std::max(rows.end() + kRoom, 2 * held), fresh.size(1)}, fresh.options());
      if (held > 0) larger.narrow(0, 0, held).copy_(store.narrow(0, 0, held));
      store = larger;
    }
    store.narrow(0, held, rows.count).copy_(fresh);
  }
  length_of(cache) = rows.end();
}

}  // namespace

std::vector<KeyValues> CachedDecoder::inherit(const std::vector<OpenText>& texts) {
  std::vector<std::int64_t> heirs(caches_.size(), 0);
  for (const OpenText& text : texts)
    if (text.parent >= 0) ++heirs.at(static_cast<std::size_t>(text.parent));
  std::vector<KeyValues> caches;
  for (const OpenText& text : texts) {
    if (text.parent < 0) {
      caches.push_back(empty_cache(decoder_.config().layers.size()));
      continue;
    }
    const auto parent = static_cast<std::size_t>(text.parent);
    KeyValues& cache = caches_[parent];
    caches.push_back(--heirs[parent] > 0 ? copy_of(cache) : std::move(cache));
  }
  return caches;
}

Tensor CachedDecoder::run(const std::vector<OpenText>& texts, const std::vector<std::size_t>& chosen) {
  RowLayout layout, seen_from;
  std::vector<std::int64_t> lengths, fresh, last_rows;
  for (const std::size_t i : chosen) {
    const TokenIds& ids = texts[i].ids;
    const std::int64_t length = std::ssize(ids), held = length_of(caches_[i]);
    layout.add({std::ssize(lengths), 0, held, length - held, &caches_[i], 0});
    if (source_)
      seen_from.add({std::ssize(lengths), 0, source_->length[static_cast<std::size_t>(texts[i].sequence)],
                     length - held, source_, texts[i].sequence});
    lengths.push_back(length);
    fresh.insert(fresh.end(), ids.begin() + held, ids.end());
    last_rows.push_back(layout.rows() - 1);
  }
  KeyValues made;
  StackPass pass{layout, lengths};
  if (source_) pass.source = &seen_from;
  pass.keep = &made;
  const Tensor states = decoder_.run(decoder_.embed(at::tensor(fresh, at::kLong)), pass);
  for (const Segment& segment : layout.segments)
    append(made, segment, caches_[chosen[static_cast<std::size_t>(segment.text)]]);
  return decoder_.logits(states.index_select(0, at::tensor(last_rows, at::kLong)));
}

Tensor CachedDecoder::next_logits(const std::vector<OpenText>& texts) {
  caches_ = inherit(texts);
  // A text that is new is long, so each has a pass of its own; those that grow share one.
  std::vector<std::vector<std::size_t>> passes;
  std::vector<std::size_t> growing;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    KeyValues& cache = caches_[i];
    for (const Rotary& rotary : decoder_.rotary())
      if (!rotary.same_frequencies(length_of(cache), std::ssize(texts[i].ids)))
        cache = empty_cache(cache.layers.size());
    if (length_of(cache) == 0)
      passes.push_back({i});
    else
      growing.push_back(i);
  }
  if (!growing.empty()) passes.push_back(std::move(growing));
  std::vector<Tensor> parts;
  std::vector<std::int64_t> place(texts.size());
  std::int64_t rows = 0;
  for (const auto& chosen : passes) {
    parts.push_back(run(texts, chosen));
    for (const std::size_t i : chosen) place[i] = rows++;
  }
  return at::cat(parts).index_select(0, at::tensor(place, at::kLong));
}

}  // namespace whence::transformer
