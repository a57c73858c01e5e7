#include "weight_reader.h"

#include <ATen/ops/zeros.h>

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

WeightReader::WeightReader(const TensorStore& store, const WeightNames& names, std::vector<std::string>* problems)
    : store_(store), names_(names), problems_(problems) {
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

template <class Fits>
bool WeightReader::note(const std::string& tensor, at::IntArrayRef expected, Fits fits) {
  const bool first = taken_.insert(tensor).second;
  try {
    const auto& shape = store_.shape(tensor);
    if (first) parameters_ += c10::multiply_integers(shape);
    if (!fits(at::IntArrayRef(shape)))
      throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) + ": expected shape " +
                       shape_text(expected) + ", found " + shape_text(shape));
    return true;
  } catch (const ModelError& error) {
    if (!problems_) throw;
    if (first) problems_->push_back(error.what());
    if (first && !store_.has(tensor)) missing_.push_back(tensor);
    return false;
  }
}

bool WeightReader::note(const std::string& tensor, at::IntArrayRef expected) {
  return note(tensor, expected, [&](at::IntArrayRef shape) { return shape == expected; });
}

/// Of that shape, without numbers.
StoredMatrix WeightReader::stand_in(std::int64_t out, std::int64_t in) const {
  return StoredMatrix(RawTensor{find_tensor_type("F32"), {out, in}, {}, nullptr});
}

Tensor WeightReader::take(const std::string& tensor, at::IntArrayRef shape) {
  return note(tensor, shape) ? store_.load(tensor) : at::zeros(shape);
}

Tensor WeightReader::take_flat(const std::string& tensor, std::int64_t numbers) {
  const auto fits = [&](at::IntArrayRef shape) { return c10::multiply_integers(shape) == numbers; };
  return note(tensor, {numbers}, fits) ? store_.load(tensor).flatten() : at::zeros({numbers});
}

StoredMatrix WeightReader::take_matrix(const std::string& tensor, std::int64_t out, std::int64_t in, bool transposed) {
  if (!transposed) return note(tensor, {out, in}) ? StoredMatrix(store_.raw(tensor)) : stand_in(out, in);
  if (!note(tensor, {in, out})) return stand_in(out, in);
  if (store_.raw(tensor).type->block_elements != 1)
    throw ModelError(store_.path().string() + ": tensor " + quote_name(tensor) +
                     ": is stored as [in,out], which cannot be read from blocks of type " +
                     std::string(store_.dtype(tensor)));
  return StoredMatrix(store_.raw(tensor)).transposed();
}

StoredMatrix WeightReader::take_stack(const std::string& tensor, std::int64_t number, std::int64_t out,
                                      std::int64_t in) {
  const auto fits = [&](at::IntArrayRef shape) {
    return shape.size() >= 2 && shape.back() == in && c10::multiply_integers(shape) == number * out * in;
  };
  return note(tensor, {number, out, in}, fits) ? StoredMatrix(store_.raw(tensor)) : stand_in(number * out, in);
}

Projection WeightReader::take_projection(const WeightPlace& place, std::int64_t out, std::int64_t in, Presence bias) {
  Projection result;
  result.parts.push_back(take_matrix(name(place), out, in, names_.transposed.contains(place.role)));
  if (bias == Presence::always || (bias == Presence::if_stored && has(place, ".bias")))
    result.bias = take(name(place, ".bias"), {out});
  return result;
}

TensorUse WeightReader::use() const {
  const auto holds_nothing = [&](const std::string& tensor) {
    return std::any_of(names_.ignored.begin(), names_.ignored.end(),
                       [&](const std::string& end) { return tensor.ends_with(end); });
  };
  TensorUse result;
  for (const auto& tensor : store_.names())
    (taken_.contains(tensor) ? result.used : holds_nothing(tensor) ? result.ignored : result.unused).push_back(tensor);
  result.missing = missing_;
  return result;
}

}  // namespace whence::transformer
