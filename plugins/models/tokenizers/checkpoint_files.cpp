#include "checkpoint_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>

#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::array kSpecialNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                      "pad_token", "cls_token", "mask_token"};

/// A token written as text or as an object with its rules. One without rules is special.
AddedToken read_token(const json& value, const std::string& key, const fs::path& path, bool special_by_default) {
  if (value.is_string()) return {.content = value.get<std::string>()};
  if (!value.is_object() || !value.contains("content")) {
    throw ModelError(path.string() + ": " + key + ": expected a token (text, or an object with content), found " +
                     value.type_name());
  }
  AddedToken token{.content = value_of<std::string>(value, "content", path).value_or("")};
  token.single_word = value_of<bool>(value, "single_word", path).value_or(false);
  token.lstrip = value_of<bool>(value, "lstrip", path).value_or(false);
  token.rstrip = value_of<bool>(value, "rstrip", path).value_or(false);
  token.special = value_of<bool>(value, "special", path).value_or(special_by_default);
  token.normalized = value_of<bool>(value, "normalized", path).value_or(!token.special);
  return token;
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw ModelError(path.string() + ": the file cannot be read; check that it is a file you may open");
  return bytes;
}

/// The object in `path`, or an empty one when there is no such file.
json read_object(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  json object;
  try {
    object = json::parse(read_file(path));
  } catch (const json::parse_error& error) {
    throw ModelError(path.string() + ": broken JSON at byte " + std::to_string(error.byte) + "; fetch the file again");
  }
  if (!object.is_object()) {
    throw ModelError(path.string() + ": expected an object, found " + object.type_name() + "; fetch the file again");
  }
  return object;
}

CheckpointFiles::CheckpointFiles(const fs::path& directory)
    : directory_(directory),
      config_path_(directory / "tokenizer_config.json"),
      config_(read_object(config_path_)),
      model_config_(read_object(directory / "config.json")) {
  if (!config_.contains("added_tokens_decoder")) {
    // Before that list existed, special_tokens_map.json had the last word on the special tokens.
    const auto special = read_object(directory / "special_tokens_map.json");
    config_.update(special);
    names_nothing_ = !fs::exists(config_path_) && special.empty();
    added_tokens_ = read_object(directory / "added_tokens.json");
  }
  class_ = &find_tokenizer_class(named_class().value_or(std::string(tokenizer_class_of(
      value_of<std::string>(model_config_, "model_type", directory_ / "config.json").value_or("")))));
}

fs::path CheckpointFiles::require(const char* file, const char* beside) const {
  if (has(file)) return path(file);
  throw ModelError(directory_.string() + ": " + file + " is missing, which " + beside +
                   " needs when there is no tokenizer.json; fetch it with the checkpoint");
}

std::string CheckpointFiles::class_text() const { return named_class().value_or(class_->name); }

std::optional<std::string> CheckpointFiles::special_token(const char* key, const char* otherwise) const {
  const auto found = config_.find(key);
  if (found == config_.end()) return otherwise ? std::optional<std::string>(otherwise) : std::nullopt;
  if (found->is_null()) return std::nullopt;
  return read_token(*found, key, config_path_, true).content;
}

std::vector<std::string> CheckpointFiles::additional_special_tokens() const {
  std::vector<std::string> tokens;
  const auto found = config_.find("additional_special_tokens");
  if (found == config_.end() || !found->is_structured()) return tokens;
  for (const auto& value : *found) {
    tokens.push_back(read_token(value, "additional_special_tokens", config_path_, true).content);
  }
  return tokens;
}

TokenizerChanges CheckpointFiles::changes() const {
  TokenizerChanges changes;
  changes.added_tokens = listed_tokens();
  changes.missing_tokens = legacy_tokens();
  for (auto& token : special_tokens(false)) changes.missing_tokens.push_back(std::move(token));
  changes.add_prefix_space = prefix_space();
  if (class_->sets_frame && named_class()) changes.frame = frame();
  return changes;
}

TokenizerChanges CheckpointFiles::changes_with_defaults(const std::vector<std::string>& more) const {
  TokenizerChanges changes;
  changes.added_tokens = listed_tokens();
  changes.missing_tokens = legacy_tokens();
  for (auto& token : special_tokens(true)) changes.missing_tokens.push_back(std::move(token));
  for (const auto& token : more) changes.missing_tokens.push_back({.content = token});
  changes.add_prefix_space = prefix_space();
  if (class_->sets_frame) changes.frame = frame();
  return changes;
}

SpecialTokens CheckpointFiles::special() const {
  SpecialTokens special{.bos = special_token("bos_token", class_->bos),
                        .eos = special_token("eos_token", class_->eos),
                        .unknown = special_token("unk_token", class_->unknown),
                        .pad = special_token("pad_token", class_->pad)};
  if (names_nothing_) special.fallback = configured_ids();
  return special;
}

std::optional<std::string> CheckpointFiles::named_class() const {
  auto name = option<std::string>("tokenizer_class");
  return name ? name : value_of<std::string>(model_config_, "tokenizer_class", directory_ / "config.json");
}

std::vector<AddedToken> CheckpointFiles::special_tokens(bool with_defaults) const {
  std::vector<AddedToken> tokens;
  const auto add = [&](const json& value, const std::string& key) {
    if (value.is_null()) return;
    auto token = read_token(value, key, config_path_, true);
    token.special = true;
    if (with_defaults && key == "mask_token" && value.is_string()) {
      token.lstrip = class_->layout != Layout::pegasus;
      token.normalized = class_->mask_is_normalized;
    }
    tokens.push_back(std::move(token));
  };
  const std::array defaults = {class_->bos, class_->eos,        class_->unknown, class_->separator,
                               class_->pad, class_->classifier, class_->mask};
  for (std::size_t i = 0; i < kSpecialNames.size(); ++i) {
    if (const auto found = config_.find(kSpecialNames[i]); found != config_.end()) {
      add(*found, kSpecialNames[i]);
    } else if (with_defaults && defaults[i] != nullptr) {
      add(defaults[i], kSpecialNames[i]);
    }
  }
  for (const auto* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto found = config_.find(key);
    if (found == config_.end() || !found->is_structured()) continue;
    for (const auto& value : *found) add(value, key);
  }
  return tokens;
}

std::vector<AddedToken> CheckpointFiles::listed_tokens() const {
  const auto list = config_.find("added_tokens_decoder");
  if (list == config_.end()) return {};
  if (!list->is_object()) {
    throw ModelError(config_path_.string() + ": added_tokens_decoder: expected an object of tokens by id, found " +
                     list->type_name());
  }
  std::map<std::int64_t, AddedToken> by_id;
  for (const auto& [key, value] : list->items()) {
    const auto place = "added_tokens_decoder." + key;
    std::int64_t id = 0;
    const auto end = key.data() + key.size();
    if (std::from_chars(key.data(), end, id).ptr != end || key.empty()) {
      throw ModelError(config_path_.string() + ": " + place + ": expected a token id as the key");
    }
    by_id[id] = read_token(value, place, config_path_, false);
  }
  std::vector<AddedToken> tokens;
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

std::vector<AddedToken> CheckpointFiles::legacy_tokens() const {
  std::map<std::int64_t, AddedToken> by_id;
  const auto specials = special_tokens(false);
  for (const auto& [content, id] : added_tokens_.items()) {
    if (!id.is_number_integer()) {
      throw ModelError((directory_ / "added_tokens.json").string() + ": '" + content +
                       "': expected a token id, found " + id.type_name());
    }
    const bool special = std::any_of(specials.begin(), specials.end(),
                                     [&](const AddedToken& token) { return token.content == content; });
    by_id[id.get<std::int64_t>()] = {.content = content, .normalized = !special, .special = special};
  }
  std::vector<AddedToken> tokens;
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

std::optional<bool> CheckpointFiles::prefix_space() const {
  if (config_.contains("add_prefix_space")) return value_of<bool>(config_, "add_prefix_space", config_path_);
  return class_->sets_prefix_space ? std::optional(false) : std::nullopt;
}

TextFrame CheckpointFiles::frame() const {
  const auto end = [&](const char* flag, bool by_default, const char* key,
                       const char* otherwise) -> std::optional<std::string> {
    if (!value_of<bool>(config_, flag, config_path_).value_or(by_default)) return std::nullopt;
    auto token = special_token(key, otherwise);
    if (!token) {
      throw ModelError(config_path_.string() + ": " + flag + " is true but there is no " + key + "; name one or set " +
                       flag + " to false");
    }
    return token;
  };
  return {.bos = end("add_bos_token", class_->adds_bos, "bos_token", class_->bos),
          .eos = end("add_eos_token", false, "eos_token", class_->eos)};
}

SpecialIds CheckpointFiles::configured_ids() const {
  const auto generation_path = directory_ / "generation_config.json";
  const auto generation = read_object(generation_path);
  const auto id = [&](const char* key) -> std::optional<std::int64_t> {
    for (const auto* object : {&generation, &model_config_}) {
      auto found = object->find(key);
      if (found == object->end()) continue;
      const auto& value = found->is_array() && !found->empty() ? found->front() : *found;
      if (value.is_number_integer()) return value.get<std::int64_t>();
    }
    return std::nullopt;
  };
  return {
      .bos = id("bos_token_id"), .eos = id("eos_token_id"), .unknown = id("unk_token_id"), .pad = id("pad_token_id")};
}

bool reads_pieces(const CheckpointFiles& files) {
  const auto own = [&]() -> const char* {
    switch (files.tokenizer_class().layout) {
      case Layout::marian:
        return "source.spm";
      case Layout::fsmt:
        return "vocab-src.json";
      case Layout::m2m_100:
      case Layout::biogpt:
        return "vocab.json";
      default:
        return nullptr;
    }
  }();
  return own && !(files.has("tokenizer.json") && !files.has(own));
}

}  // namespace whence
