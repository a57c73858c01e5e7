#include "architecture.h"

#include <cmath>
#include <sstream>

#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Every option of every section. A value or a look-up may stand for each.
const std::vector<std::pair<std::string, std::vector<std::string>>> kSections = {
    {"sizes", {"layers", "hidden", "width", "heads", "key_value_heads", "head", "inner", "vocabulary", "positions"}},
    {"embedding", {"scale", "input_scale", "norm", "positions", "position_offset", "position_padding"}},
    {"block",
     {"parallel", "shared_norm", "input_norms", "branch_norms", "norm_first", "residual_from_norm", "branch_scale"}},
    {"norm", {"kind", "epsilon", "gain", "bias", "final"}},
    {"attention",
     {"bias", "output_bias", "query_key_norm", "query_key_norm_kind", "query_key_norm_bias", "scaled", "scale",
      "scale_inverse_square", "scale_by_layer", "softcap", "clamp", "position_bias", "relative_buckets",
      "relative_distance", "relative_in_every_layer"}},
    {"window", {"size", "enabled", "layers", "first_layer", "full_every"}},
    {"rotary",
     {"enabled", "theta", "scaling", "original_positions", "layers", "skip_every", "fraction", "size", "window_theta"}},
    {"mlp", {"kind", "activation", "bias"}},
    {"dropout", {"embedding", "attention", "branch", "inner", "output"}},
    {"experts",
     {"count", "chosen", "routing", "normalise", "inner", "shared_inner", "shared_gate", "every", "dense_layers",
      "output_dropout", "capacity"}},
    {"head", {"tied", "bias", "scale", "divisor", "scaled_by_width", "softcap"}},
};
const std::vector<std::string> kStacks = {"encoder", "decoder"};
const std::vector<std::string> kBodyRoles = {"embedding",  "positions",   "embedding_norm", "project_in",
                                             "final_norm", "project_out", "head",           "head_bias"};
const std::vector<std::string> kBlockRoles = {"attention_norm",
                                              "query",
                                              "key",
                                              "value",
                                              "query_key_value",
                                              "attention_output",
                                              "query_norm",
                                              "key_norm",
                                              "relative_bias",
                                              "attention_after",
                                              "cross_norm",
                                              "cross_query",
                                              "cross_key",
                                              "cross_value",
                                              "cross_output",
                                              "mlp_norm",
                                              "mlp_after",
                                              "gate",
                                              "up",
                                              "gate_up",
                                              "down",
                                              "router",
                                              "expert_gate",
                                              "expert_up",
                                              "expert_gate_up",
                                              "expert_down",
                                              "shared_gate",
                                              "shared_expert_gate",
                                              "shared_expert_up",
                                              "shared_expert_down"};

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
  value.require_known_keys({"config", "gguf", "gguf_has", "gguf_lacks", "absent", "if_null", "map", "default"});
  keys(value.find("config"));
  keys(value.find("gguf"));
  for (const char* tensor : {"gguf_has", "gguf_lacks"})
    if (const Value* name = value.find(tensor)) name->as_string();
  if (const Value* table = value.find("map")) table->as_map();
}

/// What a look-up or a condition calls its keys in that format.
std::vector<std::string> keys_for(const HyperParameters& checkpoint, const Value& lookup) {
  return keys(lookup.find(checkpoint.format() == CheckpointFormat::gguf ? "gguf" : "config"));
}

void add_role(const std::string& stack, const std::string& role, const Value& name, bool in_block,
              WeightNames& result) {
  std::vector<std::string> names = keys(&name);
  for (const std::string& one : names)
    if (in_block && one.find("{layer}") == std::string::npos)
      throw ConfigError(name.mark(), "the name of a weight in a block must hold '{layer}', found '" + one + "'");
  result.names.emplace(stack.empty() ? role : stack + "." + role, std::move(names));
}

/// The names of the body and of the blocks, of one stack or of both.
void parse_stack_names(const std::string& stack, const Value& value, WeightNames& result) {
  for (const auto& role : kBodyRoles)
    if (const Value* name = value.find(role)) add_role(stack, role, *name, false, result);
  const Value* block = value.find("block");
  if (!block) return;
  block->require_known_keys(kBlockRoles);
  for (const auto& [role, name] : block->as_map()) add_role(stack, role, name, true, result);
}

WeightNames parse_weight_names(const Value& value, bool both_stacks) {
  WeightNames result;
  result.mark = value.mark();
  std::vector<std::string> known = {
      "body_prefix", "interleaved_rotary", "gain_offset", "layout", "transposed", "ignored", "block"};
  known.insert(known.end(), kBodyRoles.begin(), kBodyRoles.end());
  if (both_stacks) known.insert(known.end(), kStacks.begin(), kStacks.end());
  value.require_known_keys(known);
  if (const Value* prefix = value.find("body_prefix")) result.body_prefix = prefix->as_string();
  if (const Value* interleaved = value.find("interleaved_rotary")) result.interleaved_rotary = interleaved->as_bool();
  if (const Value* offset = value.find("gain_offset")) result.gain_offset = offset->as_double();
  if (const Value* layout = value.find("layout")) {
    static const std::vector<std::string> kLayouts = {"stacked", "grouped", "four_qvk"};
    const auto found = std::find(kLayouts.begin(), kLayouts.end(), layout->as_string());
    if (found == kLayouts.end())
      throw UnknownName(layout->mark(), "layout of a fused projection", layout->as_string(), kLayouts);
    result.layout = static_cast<FusedLayout>(found - kLayouts.begin());
  }
  if (const Value* roles = value.find("transposed"))
    for (const auto& role : roles->as_list()) {
      if (std::find(kBlockRoles.begin(), kBlockRoles.end(), role.as_string()) == kBlockRoles.end())
        throw UnknownName(role.mark(), "role of a weight", role.as_string(), kBlockRoles);
      result.transposed.insert(role.as_string());
    }
  if (const Value* ignored = value.find("ignored")) result.ignored = texts(*ignored);
  if (!both_stacks) value.at("block");
  parse_stack_names("", value, result);
  for (const std::string& stack : kStacks)
    if (const Value* own = both_stacks ? value.find(stack) : nullptr) {
      std::vector<std::string> roles = kBodyRoles;
      roles.emplace_back("block");
      own->require_known_keys(roles);
      parse_stack_names(stack, *own, result);
    }
  return result;
}

void check_sections(const Value& file) {
  for (const auto& [section, options] : kSections)
    if (const Value* value = file.find(section)) {
      value->require_known_keys(options);
      for (const auto& [name, option] : value->as_map()) check_lookup(option);
    }
}

const std::vector<std::string>* find_names(const WeightNames& names, std::string_view stack, std::string_view role) {
  if (!stack.empty())
    if (const auto own = names.names.find(std::string(stack) + "." + std::string(role)); own != names.names.end())
      return &own->second;
  const auto found = names.names.find(role);
  return found == names.names.end() ? nullptr : &found->second;
}

/// A value of a checkpoint as the look-up's `map` translates it.
Value translated(const Value& option, const Value& value, const std::string& place, const std::string& key) {
  const Value* table = option.find("map");
  if (!table) return value;
  std::string found = describe(value);
  if (value.is_string()) found = value.as_string();
  std::vector<std::string> known;
  for (const auto& [from, to] : table->as_map()) {
    if (from == found) return to;
    known.push_back(from);
  }
  if (const Value* rest = table->find("else")) return *rest;
  throw OptionError(place + ": " + UnknownName({}, "value", found, known).what(), key);
}

}  // namespace

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

bool WeightNames::has(std::string_view stack, std::string_view role) const {
  return find_names(*this, stack, role) != nullptr;
}

const std::vector<std::string>& WeightNames::alternatives(std::string_view stack, std::string_view role) const {
  const auto* found = find_names(*this, stack, role);
  if (!found) throw ConfigError(mark, "no weight name for '" + std::string(role) + "'; add it here");
  return *found;
}

Architecture Architecture::parse(const Value& file) {
  std::vector<std::string> known = {"name", "summary",  "kind",    "model_types", "class_names", "gguf_architectures",
                                    "when", "requires", "ignores", "weights"};
  for (const auto& [section, options] : kSections) known.push_back(section);
  if (const Value* kind = file.find("kind"); kind && kind->is_string() && kind->as_string() == "encoder_decoder")
    known.insert(known.end(), kStacks.begin(), kStacks.end());
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

  check_sections(file);
  std::vector<std::string> sections;
  for (const auto& [section, options] : kSections) sections.push_back(section);
  for (const std::string& stack : kStacks)
    if (const Value* own = file.find(stack)) {
      own->require_known_keys(sections);
      check_sections(*own);
    }
  if (const Value* conditions = file.find("when"))
    for (const auto& condition : conditions->as_list()) {
      condition.require_known_keys({"config", "gguf", "equals", "default"});
      condition.at("equals");
    }
  if (const Value* requirements = file.find("requires"))
    for (const auto& requirement : requirements->as_list()) {
      requirement.require_known_keys({"config", "gguf", "equals"});
      requirement.at("equals");
      if (!requirement.find("config") && !requirement.find("gguf"))
        throw ConfigError(requirement.mark(), "expected 'config' or 'gguf' beside 'equals'");
    }
  if (const Value* ignored = file.find("ignores")) {
    ignored->require_known_keys({"config", "gguf"});
    for (const auto& [format, list] : ignored->as_map()) texts(list);
  }
  const Value& weights = file.at("weights");
  weights.require_known_keys({"config", "gguf"});
  if (const Value* names = weights.find("config"))
    result.weights.emplace(CheckpointFormat::config_json,
                           parse_weight_names(*names, result.kind == ModelKind::encoder_decoder));
  if (const Value* names = weights.find("gguf"))
    result.weights.emplace(CheckpointFormat::gguf,
                           parse_weight_names(*names, result.kind == ModelKind::encoder_decoder));
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
  if (!key_.empty()) throw OptionError(place_ + ": " + text, key_);
  throw ConfigError(place_ + ": " + text);
}

Option find_option(const Architecture& architecture, const HyperParameters& checkpoint, std::string_view stack,
                   std::string_view section, std::string_view name) {
  const Value* of_stack = stack.empty() ? nullptr : architecture.options.find(stack);
  const Value* group = of_stack ? of_stack->find(section) : nullptr;
  const Value* option = group ? group->find(name) : nullptr;
  if (!option) {
    group = architecture.options.find(section);
    option = group ? group->find(name) : nullptr;
  }
  const std::string option_name = std::string(section) + "." + std::string(name);
  if (!option) {
    const Mark& mark = group ? group->mark() : architecture.options.mark();
    return {Value(), mark.text() + ": '" + option_name + "'"};
  }
  if (!option->is_map()) return {*option, option->mark().text()};
  const Value* nothing = option->find("absent");
  const auto names = keys_for(checkpoint, *option);
  for (const auto& key : names)
    if (Value value = checkpoint.find(key); !value.is_null() && !(nothing && value == *nothing))
      return {translated(*option, value, checkpoint.place(key), key), checkpoint.place(key), key};
  if (const Value* instead = option->find("if_null"))
    for (const auto& key : names)
      if (checkpoint.is_null(key)) return {*instead, checkpoint.place(key), key};
  for (const bool wanted : {true, false})
    if (const Value* tensor = option->find(wanted ? "gguf_has" : "gguf_lacks");
        tensor && checkpoint.format() == CheckpointFormat::gguf) {
      const std::string& name = tensor->as_string();
      const std::string place = checkpoint.file() + ": tensor '" + name + "'";
      return {translated(*option, Value(checkpoint.has_tensor(name) == wanted), place, name), place, name};
    }
  if (const Value* fallback = option->find("default")) return {*fallback, fallback->mark().text()};
  if (names.empty()) return {Value(), option->mark().text()};
  return {Value(), checkpoint.place(names.front()), names.front()};
}

bool applies(const Architecture& architecture, const HyperParameters& checkpoint) {
  const Value* conditions = architecture.options.find("when");
  if (!conditions) return true;
  const auto& list = conditions->as_list();
  return std::all_of(list.begin(), list.end(), [&](const Value& condition) {
    const auto names = keys_for(checkpoint, condition);
    if (names.empty()) return true;
    const Value* fallback = condition.find("default");
    Value found = fallback ? *fallback : Value();
    for (const auto& key : names)
      if (Value value = checkpoint.find(key); !value.is_null()) found = std::move(value);
    return found == condition.at("equals");
  });
}

void check_requirements(const Architecture& architecture, const HyperParameters& checkpoint) {
  const Value* requirements = architecture.options.find("requires");
  if (!requirements) return;
  for (const auto& requirement : requirements->as_list()) {
    const Value& expected = requirement.at("equals");
    for (const auto& key : keys_for(checkpoint, requirement)) {
      const Value found = checkpoint.find(key);
      const bool equal = found.is_null() || found == expected ||
                         (found.is_number() && expected.is_number() && found.as_double() == expected.as_double());
      if (!equal)
        throw OptionError(checkpoint.place(key) + ": expected " + describe(expected) + ", found " + describe(found) +
                              "; architecture " + architecture.name + " is not built for it",
                          key);
    }
  }
}

std::vector<std::string> named_keys(const Value& part, CheckpointFormat format) {
  const bool gguf = format == CheckpointFormat::gguf;
  std::vector<std::string> result;
  const auto append = [&](std::vector<std::string> more) { result.insert(result.end(), more.begin(), more.end()); };
  if (part.is_list())
    for (const Value& item : part.as_list()) append(named_keys(item, format));
  if (!part.is_map()) return result;
  for (const auto& [name, value] : part.as_map()) {
    const bool names_keys = name == (gguf ? "gguf" : "config") && (value.is_string() || value.is_list());
    append(names_keys ? keys(&value) : named_keys(value, format));
  }
  return result;
}

}  // namespace whence::transformer
