#include "weight_reader.h"

#include "layout.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// Entries (2i, 2i + 1) of each head become (i, i + size / 2).
Tensor halves_from_pairs(const Tensor& bias, std::int64_t heads, std::int64_t head_size) {
  return bias.view({heads, head_size / 2, 2}).transpose(1, 2).reshape(bias.sizes());
}

}  // namespace

WeightReader::WeightReader(const TensorStore& store, const WeightNames& names) : store_(store), names_(names) {
  const std::string embedding = names.name("embedding") + ".weight";
  if (!names.body_prefix.empty() && !store.has(embedding) && embedding.starts_with(names.body_prefix) &&
      store.has(embedding.substr(names.body_prefix.size())))
    dropped_prefix_ = names.body_prefix;
}

std::string WeightReader::name(std::string_view role, std::int64_t layer) const {
  std::string result = names_.name(role, layer);
  if (!dropped_prefix_.empty() && result.starts_with(dropped_prefix_)) result.erase(0, dropped_prefix_.size());
  return result;
}

std::int64_t WeightReader::rows(const std::string& tensor) const {
  const auto& shape = store_.shape(tensor);
  if (shape.empty())
    throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) + ": expected rows, found a scalar");
  return shape.front();
}

void WeightReader::note(const std::string& tensor, at::IntArrayRef shape) {
  if (at::IntArrayRef found = store_.shape(tensor); found != shape)
    throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) + ": expected shape " +
                     shape_text(shape) + ", found " + shape_text(found));
  if (taken_.insert(tensor).second) parameters_ += c10::multiply_integers(shape);
}

Tensor WeightReader::take(const std::string& tensor, at::IntArrayRef shape) {
  note(tensor, shape);
  return store_.load(tensor);
}

StoredMatrix WeightReader::take_matrix(const std::string& tensor, std::int64_t out, std::int64_t in) {
  note(tensor, {out, in});
  return StoredMatrix(store_.raw(tensor));
}

Projection WeightReader::take_projection(std::string_view role, std::int64_t layer, std::int64_t out, std::int64_t in,
                                         Presence bias) {
  const std::string base = name(role, layer);
  Projection result;
  result.parts.push_back(take_matrix(base + ".weight", out, in));
  if (bias == Presence::always || (bias == Presence::if_stored && has(base + ".bias")))
    result.bias = take(base + ".bias", {out});
  return result;
}

Projection WeightReader::take_rotary_projection(std::string_view role, std::int64_t layer, std::int64_t heads,
                                                std::int64_t head_size, std::int64_t in, Presence bias) {
  Projection result = take_projection(role, layer, heads * head_size, in, bias);
  if (names_.interleaved_rotary) {
    result.parts.front() = result.parts.front().halves_from_pairs(head_size);
    if (result.bias.defined()) result.bias = halves_from_pairs(result.bias, heads, head_size);
  }
  return result;
}

std::vector<std::string> WeightReader::unused() const {
  std::vector<std::string> result;
  for (const auto& tensor : store_.names())
    if (!taken_.contains(tensor)) result.push_back(tensor);
  return result;
}

}  // namespace whence::transformer
