#include "whence/target_layer.h"

#include <algorithm>
#include <charconv>

#include "whence/error.h"

namespace whence {
namespace {

constexpr const char *kEmbeddings = "embeddings", *kEncoder = "encoder", *kDecoder = "decoder";

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::int64_t layers_of(const ModelInfo& model, Side side) {
  return side == Side::source ? model.encoder_layers : model.layers;
}

}  // namespace

TargetLayer::TargetLayer(const Params& params) : input_(params.get<bool>("attribute_to_layer_input")) {
  const auto given = params.get<Value>("target_layer");
  where_ = given.mark();
  if (given.is_null())
    name_ = kEmbeddings;
  else if (given.is_int())
    number_ = given.as_int();
  else if (given.is_string())
    name_ = given.as_string();
  else
    throw ConfigError(where_, "target_layer: expected the number of a block or the name of a layer, found a " +
                                  std::string(given.type_name()));
  if (input_ && (name_ == kEmbeddings || every()))
    throw ConfigError(params.get<Value>("attribute_to_layer_input").mark(),
                      "attribute_to_layer_input: what goes into the embeddings are ids, which have no gradient, "
                      "and all layers include their inputs; name a block as target_layer, or leave it out");
}

std::optional<TargetLayer::Block> TargetLayer::block_in(const ModelInfo& model) const {
  if (name_.empty()) return Block{{}, number_};
  const ModuleNames& modules = model.modules;
  if (name_ == kEmbeddings || every() || has(modules.embeddings, name_)) return {};
  const std::size_t dot = name_.rfind('.');
  const std::string_view stem = std::string_view(name_).substr(0, dot == std::string::npos ? 0 : dot);
  const auto number = number_in(std::string_view(name_).substr(dot == std::string::npos ? 0 : dot + 1));
  if (number && stem.empty()) return Block{{}, *number};
  if (number && (stem == kDecoder || has(modules.decoder_blocks, stem))) return Block{Side::target, *number};
  const bool encodes = model.kind == ModelKind::encoder_decoder;
  if (number && encodes && (stem == kEncoder || has(modules.encoder_blocks, stem))) return Block{Side::source, *number};
  std::vector<std::string> known = modules.embeddings;
  known.insert(known.end(), {kEmbeddings, "all", "<number>", std::string(kDecoder) + ".<number>"});
  if (encodes) known.push_back(std::string(kEncoder) + ".<number>");
  for (const auto* blocks : {&modules.decoder_blocks, &modules.encoder_blocks})
    for (const std::string& name : *blocks) known.push_back(name + ".<number>");
  throw UnknownName(where_, "target_layer of " + model.name, name_, known);
}

std::vector<LayerSite> TargetLayer::sites(const Problem& problem) const {
  const ModelInfo& model = problem.model().info();
  const auto block = block_in(model);
  if (!block) return {};
  std::vector<LayerSite> sites;
  for (const Side side : {Side::source, Side::target}) {
    if (block->stack ? side != *block->stack : !problem.attributes(side)) continue;
    const std::int64_t layers = layers_of(model, side), number = block->number + (block->number < 0 ? layers : 0);
    if (number < 0 || number >= layers)
      throw ConfigError(where_, "target_layer: no block " + std::to_string(block->number) + ": the " +
                                    (side == Side::source ? kEncoder : kDecoder) + " of " + model.name + " has " +
                                    std::to_string(layers) + " blocks; expected " + std::to_string(-layers) + " to " +
                                    std::to_string(layers - 1));
    sites.push_back({side, number + (input_ ? 0 : 1)});
  }
  return sites;
}

void TargetLayer::require_embeddings(const Problem& problem, const std::string& reason) const {
  if (every() || block_in(problem.model().info()))
    throw ConfigError(where_, "target_layer: " + reason + "; leave it out, or use 'integrated_gradients'");
}

std::vector<std::string> TargetLayer::notes(const Problem& problem) const {
  const auto block = block_in(problem.model().info());
  if (!block || !block->stack) return {};
  const Side other = *block->stack == Side::source ? Side::target : Side::source;
  if (!problem.attributes(other)) return {};
  return {"the layer " + name_ + " holds tokens of the " + (other == Side::target ? "source" : "target") +
          " alone, so those of the other side are not attributed; a number without the name of a stack means both"};
}

}  // namespace whence
