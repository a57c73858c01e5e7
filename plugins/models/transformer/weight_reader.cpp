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

void replace(std::string& text, std::string_view mark, std::int64_t number) {
  if (const auto at = text.find(mark); at != std::string::npos) text.replace(at, mark.size(), std::to_string(number));
}

}  // namespace

WeightReader::WeightReader(const TensorStore& store, const WeightNames& names) : store_(store), names_(names) {
  if (names.body_prefix.empty()) return;
  for (const auto& [role, alternatives] : names.names)
    for (const std::string& one : alternatives)
      if (one.starts_with(names.body_prefix) && role.ends_with("embedding")) {
        const std::string tensor = one + ".weight";
        if (!store.has(tensor) && store.has(tensor.substr(names.body_prefix.size())))
          dropped_prefix_ = names.body_prefix;
      }
}

bool WeightReader::one_each(const WeightPlace& place) const {
  const std::string& name = spelling(place, ".weight").pattern;
  return name.find("{expert}") != std::string::npos || name.find("{head}") != std::string::npos;
}

std::string WeightReader::name(const WeightPlace& place, std::string_view suffix) const {
  return spelling(place, suffix).name;
}

WeightReader::Spelling WeightReader::spelling(const WeightPlace& place, std::string_view suffix) const {
  const auto& alternatives = names_.alternatives(place.stack, place.role);
  std::string first;
  for (const std::string& pattern : alternatives) {
    std::string name = pattern;
    replace(name, "{layer}", place.layer);
    replace(name, "{expert}", place.expert);
    replace(name, "{head}", place.expert);
    if (!dropped_prefix_.empty() && name.starts_with(dropped_prefix_)) name.erase(0, dropped_prefix_.size());
    const std::string whole = name + std::string(suffix);
    if (store_.has(whole)) return {pattern, whole};
    if (suffix == ".weight" && store_.has(name)) return {pattern, name};
    if (first.empty()) first = whole;
  }
  return {alternatives.front(), first};
}

std::int64_t WeightReader::rows(const std::string& tensor) const {
  const auto& shape = store_.shape(tensor);
  if (shape.empty())
    throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) + ": expected rows, found a scalar");
  return shape.front();
}

void WeightReader::fail_shape(const std::string& tensor, at::IntArrayRef expected) const {
  throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) + ": expected shape " +
                   shape_text(expected) + ", found " + shape_text(store_.shape(tensor)));
}

void WeightReader::count(const std::string& tensor) {
  if (taken_.insert(tensor).second) parameters_ += c10::multiply_integers(store_.shape(tensor));
}

void WeightReader::note(const std::string& tensor, at::IntArrayRef shape) {
  if (at::IntArrayRef(store_.shape(tensor)) != shape) fail_shape(tensor, shape);
  count(tensor);
}

Tensor WeightReader::take(const std::string& tensor, at::IntArrayRef shape) {
  note(tensor, shape);
  return store_.load(tensor);
}

Tensor WeightReader::take_flat(const std::string& tensor, std::int64_t numbers) {
  if (c10::multiply_integers(store_.shape(tensor)) != numbers) fail_shape(tensor, {numbers});
  count(tensor);
  return store_.load(tensor).flatten();
}

StoredMatrix WeightReader::take_matrix(const std::string& tensor, std::int64_t out, std::int64_t in, bool transposed) {
  if (!transposed) {
    note(tensor, {out, in});
    return StoredMatrix(store_.raw(tensor));
  }
  note(tensor, {in, out});
  if (store_.raw(tensor).type->block_elements != 1)
    throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) +
                     ": is stored as [in,out], which cannot be read from blocks of type " +
                     std::string(store_.dtype(tensor)));
  return StoredMatrix(store_.raw(tensor)).transposed();
}

StoredMatrix WeightReader::take_stack(const std::string& tensor, std::int64_t number, std::int64_t out,
                                      std::int64_t in) {
  const auto& shape = store_.shape(tensor);
  if (shape.size() < 2 || shape.back() != in || c10::multiply_integers(shape) != number * out * in)
    fail_shape(tensor, {number, out, in});
  count(tensor);
  return StoredMatrix(store_.raw(tensor));
}

Projection WeightReader::take_projection(const WeightPlace& place, std::int64_t out, std::int64_t in, Presence bias) {
  Projection result;
  result.parts.push_back(take_matrix(name(place), out, in, names_.transposed.contains(place.role)));
  if (bias == Presence::always || (bias == Presence::if_stored && has(place, ".bias")))
    result.bias = take(name(place, ".bias"), {out});
  return result;
}

std::vector<std::string> WeightReader::unused() const {
  const auto ignored = [&](const std::string& tensor) {
    return std::any_of(names_.ignored.begin(), names_.ignored.end(),
                       [&](const std::string& end) { return tensor.ends_with(end); });
  };
  std::vector<std::string> result;
  for (const auto& tensor : store_.names())
    if (!taken_.contains(tensor) && !ignored(tensor)) result.push_back(tensor);
  return result;
}

}  // namespace whence::transformer
