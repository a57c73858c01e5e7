#include "hyper_parameters.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "gguf_file.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::uintmax_t kMaxConfigBytes = 16 << 20;
/// Longer arrays are vocabularies, which are read elsewhere.
constexpr std::size_t kMaxArray = 4096;

Value to_value(const nlohmann::json& json, const std::string& file, int depth = 0) {
  if (depth > kMaxDepth) throw ModelError(file + ": nested deeper than " + std::to_string(kMaxDepth) + " levels");
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) return Value(json.get<double>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_array()) {
    Value::List list;
    for (const auto& item : json) list.push_back(to_value(item, file, depth + 1));
    return Value(std::move(list));
  }
  if (json.is_object()) {
    Value::Map map;
    for (const auto& [key, item] : json.items()) map.emplace_back(key, to_value(item, file, depth + 1));
    return Value(std::move(map));
  }
  return Value();
}

Value to_value(const GgufValue& value) {
  return std::visit(
      [](const auto& data) {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, GgufValue::Array>) {
          Value::List list;
          for (const auto& item : data) list.push_back(to_value(item));
          return Value(std::move(list));
        } else if constexpr (std::is_same_v<T, std::uint64_t>) {
          return Value(static_cast<double>(data));  // beyond int64: no integer option takes it
        } else {
          return Value(data);
        }
      },
      value.data);
}

void append_keys(const Value& map, const std::string& prefix, std::vector<std::string>& keys) {
  for (const auto& [name, value] : map.as_map()) {
    if (value.is_map())
      append_keys(value, prefix + name + ".", keys);
    else if (!value.is_null())
      keys.push_back(prefix + name);
  }
}

Value without_key(const Value& map, std::string_view key) {
  Value::Map kept;
  for (const auto& [name, value] : map.as_map()) {
    if (name == key || name.starts_with(std::string(key) + ".")) continue;
    const bool below = value.is_map() && key.starts_with(name + ".");
    kept.emplace_back(name, below ? without_key(value, key.substr(name.size() + 1)) : value);
  }
  return Value(std::move(kept));
}

}  // namespace

HyperParameters HyperParameters::from_config(const std::filesystem::path& file) {
  HyperParameters result(CheckpointFormat::config_json, file.string());
  std::ifstream stream(file, std::ios::binary);
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (!stream || error) throw ModelError(file.string() + ": cannot be read");
  if (size > kMaxConfigBytes) throw ModelError(file.string() + ": larger than 16 MiB; this is no model configuration");
  const auto json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) throw ModelError(file.string() + ": is not a JSON object");
  result.root_ = to_value(json, result.file_);
  return result;
}

HyperParameters HyperParameters::from_gguf(const GgufFile& file) {
  HyperParameters result(CheckpointFormat::gguf, file.path().string());
  result.prefix_ = file.require<std::string>("general.architecture") + ".";
  Value::Map map;
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with(result.prefix_)) continue;
    const auto* array = std::get_if<GgufValue::Array>(&value.data);
    if (array && array->size() > kMaxArray) continue;
    map.emplace_back(key.substr(result.prefix_.size()), to_value(value));
  }
  result.root_ = Value(std::move(map));
  result.tensors_.insert(file.names().begin(), file.names().end());
  return result;
}

const Value* HyperParameters::member(std::string_view key) const {
  if (const Value* value = root_.find(key)) return value;
  const Value* value = &root_;
  while (value && value->is_map()) {
    const auto dot = key.find('.');
    value = value->find(key.substr(0, dot));
    if (dot == std::string_view::npos) return value;
    key.remove_prefix(dot + 1);
  }
  return nullptr;
}

bool HyperParameters::is_null(std::string_view key) const {
  const Value* value = member(key);
  return value && value->is_null();
}

Value HyperParameters::find(std::string_view key) const {
  if (const Value* value = member(key)) return *value;
  if (format_ != CheckpointFormat::gguf) return {};
  Value::Map below;
  const std::string prefix = std::string(key) + ".";
  for (const auto& [name, value] : root_.as_map())
    if (name.starts_with(prefix)) below.emplace_back(name.substr(prefix.size()), value);
  return below.empty() ? Value() : Value(std::move(below));
}

std::vector<std::string> HyperParameters::keys() const {
  std::vector<std::string> result;
  append_keys(root_, "", result);
  return result;
}

HyperParameters HyperParameters::without(std::string_view key) const {
  HyperParameters result = *this;
  result.root_ = without_key(root_, key);
  return result;
}

std::string HyperParameters::place(std::string_view key) const {
  return file_ + ": '" + prefix_ + std::string(key) + "'";
}

}  // namespace whence::transformer
