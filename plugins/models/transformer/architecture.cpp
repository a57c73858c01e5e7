#include "architecture.h"

#include <cmath>
#include <sstream>

#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Every option of every section. A value or a look-up may stand for each.
const std::vector<std::pair<std::string, std::vector<std::string>>> kSections = {
    {"sizes", {"layers", "hidden", "heads", "key_value_heads", "head", "inner", "vocabulary", "positions"}},
    {"norm", {"kind", "epsilon"}},
    {"attention", {"bias", "output_bias", "query_key_norm"}},
    {"window", {"size", "enabled", "layers", "first_layer"}},
    {"rotary", {"theta", "scaling", "original_positions", "layers", "skip_every"}},
    {"mlp", {"kind", "activation", "bias"}},
    {"head", {"tied"}},
};
const std::vector<std::string> kBodyRoles = {"embedding", "final_norm", "head"};
const std::vector<std::string> kBlockRoles = {
    "attention_norm", "query", "key", "value", "attention_output", "query_norm", "key_norm",
    "mlp_norm",       "gate",  "up",  "down"};

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> result;
  for (const auto& item : list.as_list()) result.push_back(item.as_string());
  return result;
}

/// A key, or a list of keys of which the first that exists counts.
std::vector<std::string> keys(const Value* value) {
  if (!value) return {};
  return value->is_string() ? std::vector{value->as_string()} : texts(*value);
}

void check_lookup(const Value& value) {
  if (!value.is_map()) return;
  value.require_known_keys({"config", "gguf", "default"});
  keys(value.find("config"));
  keys(value.find("gguf"));
}

WeightNames parse_weight_names(const Value& value) {
  WeightNames result;
  result.mark = value.mark();
  std::vector<std::string> known = {"body_prefix", "interleaved_rotary", "block"};
  known.insert(known.end(), kBodyRoles.begin(), kBodyRoles.end());
  value.require_known_keys(known);
  if (const Value* prefix = value.find("body_prefix")) result.body_prefix = prefix->as_string();
  if (const Value* interleaved = value.find("interleaved_rotary")) result.interleaved_rotary = interleaved->as_bool();
  for (const auto& role : kBodyRoles)
    if (const Value* name = value.find(role)) result.names.emplace(role, name->as_string());
  const Value& block = value.at("block");
  block.require_known_keys(kBlockRoles);
  for (const auto& [role, name] : block.as_map()) {
    if (name.as_string().find("{layer}") == std::string::npos)
      throw ConfigError(name.mark(),
                        "the name of a weight in a block must hold '{layer}', found '" + name.as_string() + "'");
    result.names.emplace(role, name.as_string());
  }
  return result;
}

std::string describe(const Value& value) {
  struct Describe {
    std::string operator()(std::monostate) const { return "nothing"; }
    std::string operator()(bool x) const { return x ? "true" : "false"; }
    std::string operator()(std::int64_t x) const { return std::to_string(x); }
    std::string operator()(double x) const {
      std::ostringstream text;
      text << x;
      return text.str();
    }
    std::string operator()(const std::string& x) const { return "'" + x.substr(0, 80) + "'"; }
    std::string operator()(const Value::List&) const { return "a list"; }
    std::string operator()(const Value::Map&) const { return "a mapping"; }
  };
  return std::visit(Describe{}, value.data());
}

}  // namespace

std::string WeightNames::name(std::string_view role, std::int64_t layer) const {
  const auto found = names.find(role);
  if (found == names.end()) throw ConfigError(mark, "no weight name for '" + std::string(role) + "'; add it here");
  std::string result = found->second;
  static constexpr std::string_view kLayer = "{layer}";
  if (const auto at = result.find(kLayer); at != std::string::npos)
    result.replace(at, kLayer.size(), std::to_string(layer));
  return result;
}

Architecture Architecture::parse(const Value& file) {
  std::vector<std::string> known = {"name",     "summary", "kind", "model_types", "class_names", "gguf_architectures",
                                    "requires", "weights"};
  for (const auto& [section, options] : kSections) known.push_back(section);
  file.require_known_keys(known);

  Architecture result;
  result.name = file.at("name").as_string();
  file.at("summary").as_string();
  const Value& kind = file.at("kind");
  if (kind.as_string() == "decoder_only")
    result.kind = ModelKind::decoder_only;
  else if (kind.as_string() == "encoder_decoder")
    result.kind = ModelKind::encoder_decoder;
  else
    throw UnknownName(kind.mark(), "kind of model", kind.as_string(), {"decoder_only", "encoder_decoder"});
  result.model_types = texts(file.at("model_types"));
  result.class_names = texts(file.at("class_names"));
  if (result.class_names.empty()) throw ConfigError(file.at("class_names").mark(), "expected at least one class name");
  if (const Value* names = file.find("gguf_architectures")) result.gguf_architectures = texts(*names);

  for (const auto& [section, options] : kSections)
    if (const Value* value = file.find(section)) {
      value->require_known_keys(options);
      for (const auto& [name, option] : value->as_map()) check_lookup(option);
    }
  if (const Value* requirements = file.find("requires"))
    for (const auto& requirement : requirements->as_list()) {
      requirement.require_known_keys({"config", "gguf", "equals"});
      requirement.at("equals");
      if (!requirement.find("config") && !requirement.find("gguf"))
        throw ConfigError(requirement.mark(), "expected 'config' or 'gguf' beside 'equals'");
    }
  const Value& weights = file.at("weights");
  weights.require_known_keys({"config", "gguf"});
  if (const Value* names = weights.find("config"))
    result.weights.emplace(CheckpointFormat::config_json, parse_weight_names(*names));
  if (const Value* names = weights.find("gguf"))
    result.weights.emplace(CheckpointFormat::gguf, parse_weight_names(*names));
  result.options = file;
  return result;
}

std::int64_t Option::integer(std::int64_t min, std::int64_t max) const {
  if (!value_.is_int() || value_.as_int() < min || value_.as_int() > max)
    fail("expected an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", found " +
         describe(value_));
  return value_.as_int();
}

double Option::number(double min, double max) const {
  if (!value_.is_number() || !(value_.as_double() >= min && value_.as_double() <= max))
    fail("expected a number from " + describe(Value(min)) + " to " + describe(Value(max)) + ", found " +
         describe(value_));
  return value_.as_double();
}

bool Option::boolean() const {
  if (!value_.is_bool()) fail("expected true or false, found " + describe(value_));
  return value_.as_bool();
}

const std::string& Option::text() const {
  if (!value_.is_string()) fail("expected text, found " + describe(value_));
  return value_.as_string();
}

std::vector<double> Option::numbers() const {
  if (!value_.is_list()) fail("expected a list of numbers, found " + describe(value_));
  std::vector<double> result;
  for (const auto& item : value_.as_list()) {
    if (!item.is_number() || !std::isfinite(item.as_double()))
      fail("expected a list of numbers, found " + describe(item) + " in it");
    result.push_back(item.as_double());
  }
  return result;
}

std::size_t Option::choice(std::string_view kind, const std::vector<std::string>& names) const {
  const auto found = std::find(names.begin(), names.end(), text());
  if (found == names.end()) fail(UnknownName({}, kind, text(), names).what());
  return static_cast<std::size_t>(found - names.begin());
}

void Option::fail(const std::string& text) const {
  if (from_checkpoint_) throw ModelError(place_ + ": " + text);
  throw ConfigError(place_ + ": " + text);
}

Option find_option(const Architecture& architecture, const HyperParameters& checkpoint, std::string_view section,
                   std::string_view name) {
  const Value* group = architecture.options.find(section);
  const Value* option = group ? group->find(name) : nullptr;
  const std::string option_name = std::string(section) + "." + std::string(name);
  if (!option) {
    const Mark& mark = group ? group->mark() : architecture.options.mark();
    return {Value(), mark.text() + ": '" + option_name + "'", false};
  }
  if (!option->is_map()) return {*option, option->mark().text(), false};
  const auto names = keys(option->find(checkpoint.format() == CheckpointFormat::gguf ? "gguf" : "config"));
  for (const auto& key : names)
    if (Value value = checkpoint.find(key); !value.is_null()) return {std::move(value), checkpoint.place(key), true};
  if (const Value* fallback = option->find("default")) return {*fallback, fallback->mark().text(), false};
  if (names.empty()) return {Value(), option->mark().text(), false};
  return {Value(), checkpoint.place(names.front()), true};
}

void check_requirements(const Architecture& architecture, const HyperParameters& checkpoint) {
  const Value* requirements = architecture.options.find("requires");
  if (!requirements) return;
  for (const auto& requirement : requirements->as_list()) {
    const Value& expected = requirement.at("equals");
    for (const auto& key : keys(requirement.find(checkpoint.format() == CheckpointFormat::gguf ? "gguf" : "config"))) {
      const Value found = checkpoint.find(key);
      const bool equal = found.is_null() || found == expected ||
                         (found.is_number() && expected.is_number() && found.as_double() == expected.as_double());
      if (!equal)
        throw ModelError(checkpoint.place(key) + ": expected " + describe(expected) + ", found " + describe(found) +
                         "; architecture " + architecture.name + " is not built for it");
    }
  }
}

}  // namespace whence::transformer
