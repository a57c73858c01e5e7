#include "zeroed_heads.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <charconv>

#include "whence/error.h"

namespace {

using whence::Mark;
using whence::Span;
using whence::Value;

bool is_head(const Value& value) { return value.is_int() && value.as_int() >= 0; }

}  // namespace

void ZeroedHeads::fail(const Mark& where, const std::string& text) const {
  throw whence::ConfigError(where, parameter_ + ": " + text);
}

std::int64_t ZeroedHeads::layer_number(const std::string& key, const Mark& where) const {
  std::int64_t number = -1;
  const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (failure != std::errc() || end != key.data() + key.size() || number < 0)
    fail(where, "expected the number of a layer as key, found '" + key + "'");
  return number;
}

ZeroedHeads::ZeroedHeads(std::string parameter, const whence::Params& params) : parameter_(std::move(parameter)) {
  const auto choice = params.get<Value>(parameter_);
  where_ = choice.mark();
  if (!choice.is_map()) {
    if (!choice.is_null()) every_layer_ = read_layer(choice);
    return;
  }
  if (choice.as_map().empty()) fail(choice.mark(), "a mapping without layers zeroes nothing; name a layer");
  for (const auto& [key, heads] : choice.as_map()) {
    Layer layer = read_layer(heads);
    layer.where = heads.key_mark();
    if (!layers_.emplace(layer_number(key, layer.where), std::move(layer)).second)
      fail(heads.key_mark(), "layer " + key + " is given twice; keep one");
  }
}

ZeroedHeads::Layer ZeroedHeads::read_layer(const Value& choice) const {
  if (choice.is_null()) return {std::nullopt, choice.mark()};
  if (!choice.is_list()) return {std::vector{read_part(choice)}, choice.mark()};
  if (choice.as_list().empty()) fail(choice.mark(), "an empty list zeroes nothing; name a head");
  std::vector<Part> parts;
  for (const Value& item : choice.as_list()) parts.push_back(read_part(item));
  return {std::move(parts), choice.mark()};
}

ZeroedHeads::Part ZeroedHeads::read_part(const Value& item) const {
  if (is_head(item)) return {{item.as_int(), item.as_int() + 1}, item.mark()};
  if (item.is_list() && item.as_list().size() == 2) {
    const Value &start = item.as_list()[0], &end = item.as_list()[1];
    if (is_head(start) && is_head(end) && start.as_int() < end.as_int())
      return {{start.as_int(), end.as_int()}, item.mark()};
  }
  fail(item.mark(), "expected heads (0 or more), or spans of heads [start, end] with start < end, found " +
                        (item.is_int() ? std::to_string(item.as_int()) : "a " + std::string(item.type_name())));
}

void ZeroedHeads::refuse_if_named(const std::string& why) const {
  if (every_layer_ || !layers_.empty()) fail(where_, "has no effect, since " + why);
}

std::vector<whence::Tensor> ZeroedHeads::masks(const std::string& model, std::int64_t layers,
                                               std::int64_t heads) const {
  if (!every_layer_ && layers_.empty()) return {};
  if (!layers_.empty() && layers_.rbegin()->first >= layers)
    fail(layers_.rbegin()->second.where, "no layer " + std::to_string(layers_.rbegin()->first) + ": " + model +
                                             " has " + std::to_string(layers) + " layers, from 0 on");
  std::vector<whence::Tensor> masks;
  for (std::int64_t n = 0; n < layers; ++n) {
    const auto found = layers_.find(n);
    if (every_layer_)
      masks.push_back(mask(*every_layer_, heads));
    else if (found != layers_.end())
      masks.push_back(mask(found->second, heads));
    else
      masks.push_back(at::zeros({heads}, at::kBool));
  }
  return masks;
}

whence::Tensor ZeroedHeads::mask(const Layer& layer, std::int64_t heads) const {
  if (!layer.parts) return at::ones({heads}, at::kBool);
  whence::Tensor mask = at::zeros({heads}, at::kBool);
  for (const auto& [span, where] : *layer.parts) {
    if (span.end > heads)
      fail(where, "no head " + std::to_string(span.end - 1) + ": the model has " + std::to_string(heads) +
                      " heads, from 0 on");
    mask.narrow(0, span.start, span.end - span.start).fill_(true);
  }
  return mask;
}
