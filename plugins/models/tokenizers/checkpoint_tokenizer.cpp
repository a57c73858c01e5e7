#include "checkpoint_tokenizer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "hf_tokenizer.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// What a tokenizer class of transformers adds to the files: default special tokens, and whether it makes the
/// post-processor anew from add_bos_token and add_eos_token (BOS by default) for those that `sets_frame`.
struct TokenizerClass {
  const char* name;
  const char* bos;
  const char* eos;
  const char* unknown;
  const char* pad;
  bool sets_frame = false;
  bool adds_bos = false;
  bool sets_prefix_space = true;  ///< add_prefix_space is false unless the files say otherwise
};

constexpr TokenizerClass kPlainClass = {"PreTrainedTokenizer", nullptr, nullptr, nullptr, nullptr};

constexpr std::array kClasses = {
    TokenizerClass{"LlamaTokenizer", "<s>", "</s>", "<unk>", nullptr, true, true, false},
    TokenizerClass{"CodeLlamaTokenizer", "<s>", "</s>", "<unk>", nullptr, true, true},
    TokenizerClass{"GemmaTokenizer", "<bos>", "<eos>", "<unk>", "<pad>", true, true},
    TokenizerClass{"CohereTokenizer", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", nullptr, true, true},
    TokenizerClass{"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", nullptr, true, false},
    TokenizerClass{"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", nullptr},
    TokenizerClass{"Qwen2Tokenizer", nullptr, "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"},
    TokenizerClass{"BloomTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    TokenizerClass{"BartTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    TokenizerClass{"RobertaTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    TokenizerClass{"MBartTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    TokenizerClass{"T5Tokenizer", nullptr, "</s>", "<unk>", "<pad>", false, false, false},
};

/// The class for a config.json that only says its model_type; it decides default special tokens only.
constexpr std::array<std::pair<const char*, const char*>, 24> kClassOfModelType = {{
    {"llama", "LlamaTokenizer"},       {"mistral", "LlamaTokenizer"},    {"mixtral", "LlamaTokenizer"},
    {"phi3", "LlamaTokenizer"},        {"gemma", "GemmaTokenizer"},      {"gemma2", "GemmaTokenizer"},
    {"gemma3_text", "GemmaTokenizer"}, {"cohere", "CohereTokenizer"},    {"cohere2", "CohereTokenizer"},
    {"gpt_neox", "GPTNeoXTokenizer"},  {"olmo", "GPTNeoXTokenizer"},     {"olmo2", "GPTNeoXTokenizer"},
    {"mpt", "GPTNeoXTokenizer"},       {"gpt2", "GPT2Tokenizer"},        {"gpt_neo", "GPT2Tokenizer"},
    {"gptj", "GPT2Tokenizer"},         {"gpt_bigcode", "GPT2Tokenizer"}, {"qwen2", "Qwen2Tokenizer"},
    {"qwen2_moe", "Qwen2Tokenizer"},   {"qwen3", "Qwen2Tokenizer"},      {"qwen3_moe", "Qwen2Tokenizer"},
    {"bloom", "BloomTokenizer"},       {"bart", "BartTokenizer"},        {"t5", "T5Tokenizer"},
}};

constexpr std::array kSpecialNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                      "pad_token", "cls_token", "mask_token"};

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

/// `object[key]` as a T; empty when it is absent or null.
template <typename T>
std::optional<T> value_of(const json& object, const char* key, const fs::path& path) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  try {
    return found->get<T>();
  } catch (const json::type_error&) {
    throw ModelError(path.string() + ": " + key + " has the wrong type, found " + found->type_name());
  }
}

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

/// The JSON files of one directory and what they say about tokens.
class CheckpointFiles {
 public:
  explicit CheckpointFiles(const fs::path& directory)
      : directory_(directory),
        config_path_(directory / "tokenizer_config.json"),
        config_(read_object(config_path_)),
        model_config_(read_object(directory / "config.json")) {
    if (config_.contains("added_tokens_decoder")) return;
    // Before that list existed, special_tokens_map.json had the last word on the special tokens.
    const auto special = read_object(directory / "special_tokens_map.json");
    config_.update(special);
    names_nothing_ = !fs::exists(config_path_) && special.empty();
    added_tokens_ = read_object(directory / "added_tokens.json");
  }

  TokenizerChanges changes() const {
    TokenizerChanges changes;
    changes.added_tokens = listed_tokens();
    changes.missing_tokens = legacy_tokens();
    for (auto& token : special_tokens()) changes.missing_tokens.push_back(std::move(token));
    const auto& kind = tokenizer_class();
    changes.add_prefix_space = prefix_space(kind);
    if (kind.sets_frame && named_class()) changes.frame = frame(kind);
    return changes;
  }

  SpecialTokens special() const {
    const auto& kind = tokenizer_class();
    SpecialTokens special{.bos = special_token("bos_token", kind.bos),
                          .eos = special_token("eos_token", kind.eos),
                          .unknown = special_token("unk_token", kind.unknown),
                          .pad = special_token("pad_token", kind.pad)};
    if (names_nothing_) special.fallback = configured_ids();
    return special;
  }

 private:
  std::optional<std::string> named_class() const {
    auto name = value_of<std::string>(config_, "tokenizer_class", config_path_);
    return name ? name : value_of<std::string>(model_config_, "tokenizer_class", directory_ / "config.json");
  }

  const TokenizerClass& tokenizer_class() const {
    auto name = named_class().value_or("");
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    if (name.empty()) {
      const auto model_type = value_of<std::string>(model_config_, "model_type", directory_ / "config.json");
      const auto known = std::find_if(kClassOfModelType.begin(), kClassOfModelType.end(),
                                      [&](const auto& entry) { return model_type == entry.first; });
      if (known != kClassOfModelType.end()) name = known->second;
    }
    const auto found =
        std::find_if(kClasses.begin(), kClasses.end(), [&](const TokenizerClass& kind) { return name == kind.name; });
    return found == kClasses.end() ? kPlainClass : *found;
  }

  /// The token under `key`, else the class's own. A null says that there is none.
  std::optional<std::string> special_token(const char* key, const char* otherwise) const {
    const auto found = config_.find(key);
    if (found == config_.end()) return otherwise ? std::optional<std::string>(otherwise) : std::nullopt;
    if (found->is_null()) return std::nullopt;
    return read_token(*found, key, config_path_, true).content;
  }

  /// added_tokens_decoder of tokenizer_config.json, by id.
  std::vector<AddedToken> listed_tokens() const {
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

  /// added_tokens.json of old checkpoints, by id.
  std::vector<AddedToken> legacy_tokens() const {
    std::map<std::int64_t, AddedToken> by_id;
    const auto specials = special_tokens();
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

  /// Every special token that the files name.
  std::vector<AddedToken> special_tokens() const {
    std::vector<AddedToken> tokens;
    const auto add = [&](const json& value, const std::string& key) {
      if (value.is_null()) return;
      tokens.push_back(read_token(value, key, config_path_, true));
      tokens.back().special = true;
    };
    for (const auto* key : kSpecialNames) {
      if (const auto found = config_.find(key); found != config_.end()) add(*found, key);
    }
    for (const auto* key : {"additional_special_tokens", "extra_special_tokens"}) {
      const auto found = config_.find(key);
      if (found == config_.end() || !found->is_structured()) continue;
      for (const auto& value : *found) add(value, key);
    }
    return tokens;
  }

  std::optional<bool> prefix_space(const TokenizerClass& kind) const {
    if (config_.contains("add_prefix_space")) return value_of<bool>(config_, "add_prefix_space", config_path_);
    return kind.sets_prefix_space ? std::optional(false) : std::nullopt;
  }

  TextFrame frame(const TokenizerClass& kind) const {
    const auto end = [&](const char* flag, bool by_default, const char* key,
                         const char* otherwise) -> std::optional<std::string> {
      if (!value_of<bool>(config_, flag, config_path_).value_or(by_default)) return std::nullopt;
      auto token = special_token(key, otherwise);
      if (!token) {
        throw ModelError(config_path_.string() + ": " + flag + " is true but there is no " + key +
                         "; name one or set " + flag + " to false");
      }
      return token;
    };
    return {.bos = end("add_bos_token", kind.adds_bos, "bos_token", kind.bos),
            .eos = end("add_eos_token", false, "eos_token", kind.eos)};
  }

  SpecialIds configured_ids() const {
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

  fs::path directory_, config_path_;
  json config_, model_config_;
  json added_tokens_ = json::object();
  bool names_nothing_ = false;  ///< no file but tokenizer.json speaks of special tokens
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_directory(const fs::path& directory) {
  const auto path = directory / "tokenizer.json";
  if (!fs::exists(path)) {
    throw ModelError(directory.string() +
                     ": tokenizer.json is missing; fetch it with the checkpoint, or save it with "
                     "save_pretrained of a fast tokenizer of transformers");
  }
  const CheckpointFiles files(directory);
  return std::make_unique<HfTokenizer>(read_file(path), path.string(), files.changes(), files.special());
}

}  // namespace whence
