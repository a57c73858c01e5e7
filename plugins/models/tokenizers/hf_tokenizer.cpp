#include "hf_tokenizer.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "foreign_text.h"
#include "language_tokenizer.h"
#include "rust/whence_tokenizers.h"
#include "whence/error.h"

namespace whence {
namespace {

using Status = WhenceTokenizerStatus;

struct ForeignEncoding : WhenceTokenizerEncoding {
  ForeignEncoding() : WhenceTokenizerEncoding{} {}
  ForeignEncoding(const ForeignEncoding&) = delete;
  ForeignEncoding& operator=(const ForeignEncoding&) = delete;
  ~ForeignEncoding() { whence_tokenizer_encoding_free(this); }
};

nlohmann::json optional_json(const std::optional<std::string>& text) {
  return text ? nlohmann::json(*text) : nlohmann::json();
}

nlohmann::json tokens_json(const std::vector<AddedToken>& tokens) {
  auto list = nlohmann::json::array();
  for (const auto& token : tokens) {
    list.push_back({{"content", token.content},
                    {"single_word", token.single_word},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  }
  return list;
}

std::string changes_json(const TokenizerChanges& changes) {
  nlohmann::json json = {{"added_tokens", tokens_json(changes.added_tokens)},
                         {"missing_tokens", tokens_json(changes.missing_tokens)},
                         {"add_prefix_space", nullptr},
                         {"template", nullptr}};
  if (changes.add_prefix_space) json["add_prefix_space"] = *changes.add_prefix_space;
  if (changes.frame) {
    json["template"] = {{"bos", optional_json(changes.frame->bos)}, {"eos", optional_json(changes.frame->eos)}};
  }
  return json.dump();
}

[[noreturn]] void fail(const std::string& origin, const ForeignText& message) {
  throw ModelError(origin + ": the tokenizer cannot be used, " + message.string() +
                   "; fetch the checkpoint's tokenizer files again");
}

std::optional<std::uint32_t> narrow_id(std::int64_t id) {
  if (id < 0 || id > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(id);
}

}  // namespace

void HfTokenizer::Free::operator()(WhenceTokenizer* tokenizer) const { whence_tokenizer_free(tokenizer); }

HfTokenizer::HfTokenizer(std::string_view json, const std::string& origin, const TokenizerChanges& changes,
                         const SpecialTokens& special_tokens)
    : origin_(origin) {
  const auto change_text = changes_json(changes);
  ForeignText message;
  WhenceTokenizer* tokenizer = nullptr;
  const auto status =
      whence_tokenizer_create(json.data(), json.size(), change_text.data(), change_text.size(), &tokenizer, &message);
  if (status != Status::ok) fail(origin_, message);
  tokenizer_.reset(tokenizer);
  const auto& fallback = special_tokens.fallback;
  special_ids_ = {.bos = id_of(special_tokens.bos, fallback.bos),
                  .eos = id_of(special_tokens.eos, fallback.eos),
                  .unknown = id_of(special_tokens.unknown, fallback.unknown),
                  .pad = id_of(special_tokens.pad, fallback.pad)};
  all_special_ids_ = read_special_ids();
}

Encoding HfTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  require_no_language(options);
  ForeignText message;
  ForeignEncoding foreign;
  const auto status = whence_tokenizer_encode(tokenizer_.get(), text.data(), text.size(), options.add_special_tokens,
                                              &foreign, &message);
  if (status == Status::input) throw InputError("text: " + message.string() + "; convert the text to UTF-8");
  if (status != Status::ok) fail(origin_, message);

  Encoding encoding;
  encoding.ids.assign(foreign.ids, foreign.ids + foreign.size);
  encoding.special.assign(foreign.special, foreign.special + foreign.size);
  encoding.offsets.reserve(foreign.size);
  encoding.tokens.reserve(foreign.size);
  std::uint64_t token_start = 0;
  for (std::size_t i = 0; i < foreign.size; ++i) {
    encoding.offsets.push_back(
        {static_cast<std::int64_t>(foreign.offsets[2 * i]), static_cast<std::int64_t>(foreign.offsets[2 * i + 1])});
    encoding.tokens.emplace_back(foreign.tokens + token_start, foreign.tokens + foreign.token_ends[i]);
    token_start = foreign.token_ends[i];
  }
  return encoding;
}

std::string HfTokenizer::decode(const TokenIds& ids, bool skip_special_tokens) const {
  std::vector<std::uint32_t> narrow;
  narrow.reserve(ids.size());
  for (const auto id : ids) {
    const auto small = narrow_id(id);
    if (!small) throw InputError("ids: token id " + std::to_string(id) + " is not in the vocabulary");
    narrow.push_back(*small);
  }
  ForeignText text, message;
  const auto status =
      whence_tokenizer_decode(tokenizer_.get(), narrow.data(), narrow.size(), skip_special_tokens, &text, &message);
  if (status == Status::input) throw InputError("ids: " + message.string());
  if (status != Status::ok) fail(origin_, message);
  return text.string();
}

std::optional<std::string> HfTokenizer::token(std::int64_t id) const {
  const auto small = narrow_id(id);
  if (!small) return std::nullopt;
  ForeignText token, message;
  const auto status = whence_tokenizer_token(tokenizer_.get(), *small, &token, &message);
  if (status == Status::missing) return std::nullopt;
  if (status != Status::ok) fail(origin_, message);
  return token.string();
}

std::optional<std::int64_t> HfTokenizer::id(std::string_view token) const {
  ForeignText message;
  std::uint32_t found = 0;
  const auto status = whence_tokenizer_id(tokenizer_.get(), token.data(), token.size(), &found, &message);
  if (status == Status::missing) return std::nullopt;
  if (status != Status::ok) fail(origin_, message);
  return found;
}

std::optional<std::int64_t> HfTokenizer::id_of(const std::optional<std::string>& token,
                                               std::optional<std::int64_t> fallback) const {
  if (token) return id(*token);
  return fallback && this->token(*fallback) ? fallback : std::nullopt;
}

TokenIds HfTokenizer::read_special_ids() const {
  ForeignText message;
  std::vector<std::uint32_t> ids;
  std::size_t size = 0;
  for (int pass = 0; pass < 2; ++pass) {  // the first asks for the number
    const auto status = whence_tokenizer_special_ids(tokenizer_.get(), ids.data(), ids.size(), &size, &message);
    if (status != Status::ok) fail(origin_, message);
    ids.resize(size);
  }
  return TokenIds(ids.begin(), ids.end());
}

}  // namespace whence
