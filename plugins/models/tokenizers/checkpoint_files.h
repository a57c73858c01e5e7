#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "hf_tokenizer.h"
#include "tokenizer_class.h"
#include "whence/error.h"

namespace whence {

/// The bytes of a file. Throws ModelError when it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// The JSON object in `path`, or an empty one when there is no such file. Throws ModelError when it is broken.
nlohmann::json read_object(const std::filesystem::path& path);

/// `object[key]` of the file `path` as a T; empty when it is absent or null. Throws ModelError for another type.
template <typename T>
std::optional<T> value_of(const nlohmann::json& object, const char* key, const std::filesystem::path& path) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  try {
    return found->get<T>();
  } catch (const nlohmann::json::type_error&) {
    throw ModelError(path.string() + ": " + key + " has the wrong type, found " + found->type_name());
  }
}

/// The JSON files of one directory and what they say about tokens.
class CheckpointFiles {
 public:
  explicit CheckpointFiles(const std::filesystem::path& directory);

  std::filesystem::path path(const char* file) const { return directory_ / file; }
  bool has(const char* file) const { return std::filesystem::exists(path(file)); }
  /// The named file; throws ModelError when it is missing, `beside` says what it is needed for.
  std::filesystem::path require(const char* file, const char* beside) const;
  const TokenizerClass& tokenizer_class() const { return *class_; }
  /// The class as the files name it, else the one of their model type.
  std::string class_text() const;

  /// A value of tokenizer_config.json; empty when it is absent or null.
  template <typename T>
  std::optional<T> option(const char* key) const {
    return value_of<T>(config_, key, config_path_);
  }
  bool has_option(const char* key) const { return config_.contains(key); }
  /// The special token under `key`, else `otherwise`. A null says that there is none.
  std::optional<std::string> special_token(const char* key, const char* otherwise) const;
  /// The tokens of additional_special_tokens; empty when the files have no such list.
  std::vector<std::string> additional_special_tokens() const;

  /// What is to be changed in a tokenizer.json.
  TokenizerChanges changes() const;
  /// The same for a vocabulary without one: also the default tokens of the class are special, and `more` after them.
  TokenizerChanges changes_with_defaults(const std::vector<std::string>& more) const;
  /// Every special token that the files name; with the defaults of the class where `with_defaults`.
  std::vector<AddedToken> special_tokens(bool with_defaults) const;
  /// added_tokens_decoder of tokenizer_config.json, by id.
  std::vector<AddedToken> listed_tokens() const;
  SpecialTokens special() const;

 private:
  std::optional<std::string> named_class() const;
  std::optional<bool> prefix_space() const;
  std::vector<AddedToken> legacy_tokens() const;
  TextFrame frame() const;
  SpecialIds configured_ids() const;

  std::filesystem::path directory_, config_path_;
  nlohmann::json config_, model_config_;
  nlohmann::json added_tokens_ = nlohmann::json::object();
  bool names_nothing_ = false;  ///< no file but tokenizer.json speaks of special tokens
  const TokenizerClass* class_ = nullptr;
};

/// Whether texts are cut into pieces by sentencepiece or the rules of Moses, and the pieces have their ids in a JSON
/// vocabulary, as for Marian, M2M-100, FSMT and BioGPT.
bool reads_pieces(const CheckpointFiles& files);

}  // namespace whence
