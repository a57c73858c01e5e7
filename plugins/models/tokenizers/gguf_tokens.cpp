#include "gguf_tokens.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

/// Beyond anything real, and small enough that a damaged file cannot exhaust the memory.
constexpr std::size_t kMaxTokens = std::size_t{1} << 22;
constexpr std::size_t kMaxMerges = std::size_t{1} << 23;
constexpr std::size_t kMaxTokenBytes = 4096;

constexpr std::array<std::pair<std::string_view, GgufKind>, 5> kKinds = {{{"gpt2", GgufKind::bpe},
                                                                          {"gemma4", GgufKind::bpe},
                                                                          {"llama", GgufKind::sentence_piece},
                                                                          {"t5", GgufKind::unigram},
                                                                          {"bert", GgufKind::word_piece}}};

/// What a kind that is known, but not read, is of.
constexpr std::array<std::pair<std::string_view, const char*>, 6> kUnread = {
    {{"rwkv", "the longest-match tokenizer of RWKV"},
     {"plamo2", "the tokenizer of PLaMo 2"},
     {"hybriddna", "a tokenizer of DNA sequences"},
     {"whitespace", "the white-space tokenizer of embedding models"},
     {"none", "no vocabulary"},
     {"no_vocab", "no vocabulary"}}};

}  // namespace

GgufTokens::GgufTokens(const GgufVocabulary& vocabulary) : vocabulary_(vocabulary), kind_(read_kind()) {
  read_texts();
  check_lists();
  read_ids();
}

void GgufTokens::fail(const std::string& key, const std::string& what) const {
  throw ModelError(vocabulary_.origin + ": tokenizer.ggml." + key + ": " + what);
}

void GgufTokens::fail_damaged(const std::string& key, const std::string& what) const {
  fail(key, what + "; the file is damaged, fetch or convert it again");
}

GgufKind GgufTokens::read_kind() const {
  const auto& model = vocabulary_.model;
  const auto is_it = [&](const auto& entry) { return entry.first == model; };
  if (const auto found = std::find_if(kKinds.begin(), kKinds.end(), is_it); found != kKinds.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : kKinds) names.emplace_back(entry.first);
  const auto unread = std::find_if(kUnread.begin(), kUnread.end(), is_it);
  const auto nearest = nearest_name(model, names);
  fail("model", (unread != kUnread.end() ? "'" + model + "' is " + unread->second + ", which is not read"
                                         : "unknown tokenizer '" + model + "'" +
                                               (nearest.empty() ? "" : ", the nearest is '" + nearest + "'")) +
                    "; known are bert, gemma4, gpt2, llama and t5: use the checkpoint's Hugging Face directory, or a "
                    "file converted with one of these");
}

void GgufTokens::read_texts() {
  const auto& tokens = vocabulary_.tokens;
  if (tokens.empty()) fail_damaged("tokens", "no tokens");
  if (tokens.size() > kMaxTokens)
    fail_damaged("tokens",
                 "expected at most " + std::to_string(kMaxTokens) + " tokens, found " + std::to_string(tokens.size()));
  texts_ = tokens;
  index_.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const auto place = "tokens[" + std::to_string(id) + "]";
    if (tokens[id].size() > kMaxTokenBytes)
      fail_damaged(place, "expected at most " + std::to_string(kMaxTokenBytes) + " bytes, found " +
                              std::to_string(tokens[id].size()));
    if (first_invalid_byte(tokens[id])) fail_damaged(place, "not valid UTF-8");
    // Some files fill unused places with empty tokens; every token needs a text of its own.
    if (texts_[id].empty()) texts_[id] = "[EMPTY_" + std::to_string(id) + "]";
    const auto [known, is_new] = index_.emplace(texts_[id], id);
    if (!is_new) fail_damaged(place, "the same text as token " + std::to_string(known->second));
  }
}

void GgufTokens::check_lists() const {
  const auto same_count = [&](const char* key, std::size_t count) {
    if (count == texts_.size()) return;
    fail_damaged(key, "expected one for each of the " + std::to_string(texts_.size()) + " tokens, found " +
                          std::to_string(count));
  };
  const bool needs_scores = kind_ == GgufKind::sentence_piece || kind_ == GgufKind::unigram;
  if (!vocabulary_.token_types.empty()) same_count("token_type", vocabulary_.token_types.size());
  if (!vocabulary_.scores.empty() || needs_scores) same_count("scores", vocabulary_.scores.size());
  for (std::size_t id = 0; id < vocabulary_.scores.size(); ++id) {
    if (std::isnan(vocabulary_.scores[id])) fail_damaged("scores[" + std::to_string(id) + "]", "not a number");
  }
  if (vocabulary_.merges.size() > kMaxMerges)
    fail_damaged("merges", "expected at most " + std::to_string(kMaxMerges) + ", found " +
                               std::to_string(vocabulary_.merges.size()));
}

void GgufTokens::read_ids() {
  const auto size = static_cast<std::int64_t>(texts_.size());
  const auto read = [&](const char* key, const std::optional<std::int64_t>& id, std::int64_t llama, std::int64_t t5,
                        std::int64_t bert) -> std::optional<std::int64_t> {
    if (id && (*id < 0 || *id >= size))
      fail_damaged(key, "expected an id below " + std::to_string(size) + ", found " + std::to_string(*id));
    if (id) return id;
    const auto by_kind = kind_ == GgufKind::sentence_piece ? llama
                         : kind_ == GgufKind::unigram      ? t5
                         : kind_ == GgufKind::word_piece   ? bert
                                                           : -1;
    return by_kind >= 0 && by_kind < size ? std::optional(by_kind) : std::nullopt;
  };
  bos_ = read("bos_token_id", vocabulary_.bos, 1, -1, 101);
  eos_ = read("eos_token_id", vocabulary_.eos, 2, 1, -1);
  unknown_ = read("unknown_token_id", vocabulary_.unknown, 0, 2, 100);
  pad_ = read("padding_token_id", vocabulary_.pad, -1, 0, 0);
  separator_ = read("seperator_token_id", vocabulary_.separator, -1, -1, 102);
}

GgufTokenType GgufTokens::type(std::size_t id) const {
  if (!vocabulary_.token_types.empty()) return static_cast<GgufTokenType>(vocabulary_.token_types[id]);
  // Files without types: the named special tokens are control tokens, <0x00> to <0xFF> are bytes.
  for (const auto& special :
       {vocabulary_.bos, vocabulary_.eos, vocabulary_.unknown, vocabulary_.pad, vocabulary_.separator}) {
    if (special == static_cast<std::int64_t>(id)) return GgufTokenType::control;
  }
  const auto& text = texts_[id];
  const bool is_byte = text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
  return is_byte && kind_ != GgufKind::bpe ? GgufTokenType::byte : GgufTokenType::normal;
}

}  // namespace whence
