#include "gguf_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "gguf_pre_tokenizers.h"
#include "hf_tokenizer.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;
using TokenIndex = std::unordered_map<std::string_view, std::int64_t>;

/// Beyond anything real, and small enough that a damaged file cannot exhaust the memory.
constexpr std::size_t kMaxTokens = std::size_t{1} << 22;
constexpr std::size_t kMaxMerges = std::size_t{1} << 23;
constexpr std::size_t kMaxTokenBytes = 4096;

/// SentencePiece writes a space as U+2581.
constexpr const char* kSpaceMark = "\xE2\x96\x81";

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    utf8proc_int32_t character = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &character);
    if (size < 1) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

std::string join(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// Reads one vocabulary and assembles the description that HfTokenizer takes.
class GgufReader {
 public:
  explicit GgufReader(const GgufVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  std::unique_ptr<Tokenizer> tokenizer() {
    constexpr std::array known = {"gpt2", "llama"};
    if (std::find(known.begin(), known.end(), vocabulary_.model) == known.end()) {
      fail("model", "unknown tokenizer '" + vocabulary_.model + "', known are gpt2 and llama; use the checkpoint's " +
                        "Hugging Face directory, or a file converted with one of these");
    }
    byte_level_ = vocabulary_.model == "gpt2";
    check_tokens();
    check_lists();
    const auto description = byte_level_ ? byte_level_json() : sentence_piece_json();
    return std::make_unique<HfTokenizer>(description.dump(), vocabulary_.origin, changes(), special_tokens());
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw ModelError(vocabulary_.origin + ": tokenizer.ggml." + key + ": " + what);
  }

  [[noreturn]] void fail_damaged(const std::string& key, const std::string& what) const {
    fail(key, what + "; the file is damaged, fetch or convert it again");
  }

  void check_tokens() {
    const auto& tokens = vocabulary_.tokens;
    if (tokens.empty()) fail_damaged("tokens", "no tokens");
    if (tokens.size() > kMaxTokens) {
      fail_damaged("tokens", "expected at most " + std::to_string(kMaxTokens) + " tokens, found " +
                                 std::to_string(tokens.size()));
    }
    texts_ = tokens;
    index_.reserve(tokens.size());
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      const auto place = "tokens[" + std::to_string(id) + "]";
      if (tokens[id].size() > kMaxTokenBytes) {
        fail_damaged(place, "expected at most " + std::to_string(kMaxTokenBytes) + " bytes, found " +
                                std::to_string(tokens[id].size()));
      }
      if (!is_utf8(tokens[id])) fail_damaged(place, "not valid UTF-8");
      // Some files fill unused places with empty tokens; every token needs a text of its own.
      if (texts_[id].empty()) texts_[id] = "[EMPTY_" + std::to_string(id) + "]";
      const auto [known, is_new] = index_.emplace(texts_[id], static_cast<std::int64_t>(id));
      if (!is_new) fail_damaged(place, "the same text as token " + std::to_string(known->second));
    }
  }

  void check_lists() const {
    const auto same_count = [&](const char* key, std::size_t count) {
      if (count == vocabulary_.tokens.size()) return;
      fail_damaged(key, "expected one for each of the " + std::to_string(vocabulary_.tokens.size()) +
                            " tokens, found " + std::to_string(count));
    };
    if (!vocabulary_.token_types.empty()) same_count("token_type", vocabulary_.token_types.size());
    if (!vocabulary_.scores.empty() || !byte_level_) same_count("scores", vocabulary_.scores.size());
    for (std::size_t id = 0; id < vocabulary_.scores.size(); ++id) {
      if (std::isnan(vocabulary_.scores[id])) fail_damaged("scores[" + std::to_string(id) + "]", "not a number");
    }
    if (vocabulary_.merges.size() > kMaxMerges) {
      fail_damaged("merges", "expected at most " + std::to_string(kMaxMerges) + ", found " +
                                 std::to_string(vocabulary_.merges.size()));
    }
    const auto in_range = [&](const char* key, const std::optional<std::int64_t>& id) {
      if (!id || (*id >= 0 && static_cast<std::size_t>(*id) < texts_.size())) return;
      fail_damaged(key, "expected an id below " + std::to_string(texts_.size()) + ", found " + std::to_string(*id));
    };
    in_range("bos_token_id", vocabulary_.bos);
    in_range("eos_token_id", vocabulary_.eos);
    in_range("unknown_token_id", vocabulary_.unknown);
    in_range("padding_token_id", vocabulary_.pad);
  }

  /// Files without types: the named special tokens are control tokens, <0x00> to <0xFF> are bytes.
  GgufTokenType type(std::size_t id) const {
    if (!vocabulary_.token_types.empty()) return static_cast<GgufTokenType>(vocabulary_.token_types[id]);
    for (const auto& special : {vocabulary_.bos, vocabulary_.eos, vocabulary_.unknown, vocabulary_.pad}) {
      if (special == static_cast<std::int64_t>(id)) return GgufTokenType::control;
    }
    const auto& text = texts_[id];
    const bool is_byte = text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
    return is_byte && !byte_level_ ? GgufTokenType::byte : GgufTokenType::normal;
  }

  json vocab_json() const {
    json vocab = json::object();
    for (std::size_t id = 0; id < texts_.size(); ++id) vocab[texts_[id]] = id;
    return vocab;
  }

  json byte_level_json() const {
    json steps = json::array();
    for (const auto* pattern : pre_tokenizer().patterns) {
      if (pattern == nullptr) break;
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
    const json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
    steps.push_back(byte_level);
    const auto normalizer = pre_tokenizer().composes ? json{{"type", "NFC"}} : json();
    return {{"version", "1.0"},
            {"normalizer", normalizer},
            {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"},
              {"ignore_merges", pre_tokenizer().ignores_merges},
              {"vocab", vocab_json()},
              {"merges", listed_merges()}}}};
  }

  const GgufPreTokenizer& pre_tokenizer() const {
    const std::string name = vocabulary_.pre.empty() ? "default" : vocabulary_.pre;
    if (const auto* found = find_gguf_pre_tokenizer(name)) return *found;
    const auto names = gguf_pre_tokenizer_names();
    const auto nearest = nearest_name(name, names);
    fail("pre", "unknown pre-tokenizer '" + name + "'" + (nearest.empty() ? "" : ", the nearest is '" + nearest + "'") +
                    "; known are " + join(names) + "; use the checkpoint's Hugging Face directory");
  }

  json listed_merges() const {
    if (vocabulary_.merges.empty()) fail_damaged("merges", "no merges, a gpt2 vocabulary needs them");
    json merges = json::array();
    for (std::size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
      const std::string_view merge = vocabulary_.merges[rank];
      const auto place = "merges[" + std::to_string(rank) + "]";
      // A first token that is itself a space is possible, hence the search from the second byte on.
      const auto space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size()) {
        fail_damaged(place, "expected two tokens and a space between them");
      }
      const auto left = merge.substr(0, space), right = merge.substr(space + 1);
      for (const auto& part : {std::string(left), std::string(right), std::string(left) + std::string(right)}) {
        if (!index_.contains(part)) {
          fail_damaged(place, is_utf8(part) ? "'" + part + "' is not a token" : "not valid UTF-8");
        }
      }
      merges.push_back({left, right});
    }
    return merges;
  }

  json sentence_piece_json() const {
    json normalizers = json::array();
    json decoders = {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                     {{"type", "ByteFallback"}},
                     {{"type", "Fuse"}}};
    if (adds_space_prefix()) {
      normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
      decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    normalizers.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}});
    const auto unknown = unknown_id();
    return {{"version", "1.0"},
            {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
            {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
            {"model",
             {{"type", "BPE"},
              {"unk_token", unknown ? json(texts_[*unknown]) : json()},
              {"byte_fallback", true},
              {"fuse_unk", true},
              {"vocab", vocab_json()},
              {"merges", scored_merges()}}}};
  }

  bool adds_space_prefix() const { return vocabulary_.add_space_prefix.value_or(true); }

  /// SentencePiece joins the two neighbours whose joint piece has the best score. As a list of merges: every way to put
  /// a piece together from two others, best score first; ties as in the conversion of transformers, longer parts first.
  json scored_merges() const {
    struct Merge {
      std::string_view left, right;
      std::size_t left_size, right_size;  // in characters
      double score;
    };
    std::vector<Merge> merges;
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (!is_piece(id)) continue;
      const std::string_view piece = texts_[id];
      const auto starts = character_starts(piece);
      for (std::size_t cut = 1; cut < starts.size(); ++cut) {
        const auto left = piece.substr(0, starts[cut]), right = piece.substr(starts[cut]);
        if (!is_piece(left) || !is_piece(right)) continue;
        merges.push_back({left, right, cut, starts.size() - cut, vocabulary_.scores[id]});
      }
    }
    std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
      if (a.score != b.score) return a.score > b.score;
      if (a.left_size != b.left_size) return a.left_size > b.left_size;
      return a.right_size > b.right_size;
    });
    json list = json::array();
    for (const auto& merge : merges) list.push_back({merge.left, merge.right});
    return list;
  }

  bool is_piece(std::size_t id) const { return type(id) == GgufTokenType::normal; }
  bool is_piece(std::string_view text) const {
    const auto found = index_.find(text);
    return found != index_.end() && is_piece(static_cast<std::size_t>(found->second));
  }

  static std::vector<std::size_t> character_starts(std::string_view text) {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
    }
    return starts;
  }

  TokenizerChanges changes() const {
    TokenizerChanges changes;
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      const auto kind = type(id);
      const bool special = kind == GgufTokenType::control || kind == GgufTokenType::unknown;
      if (!special && kind != GgufTokenType::user_defined) continue;
      changes.added_tokens.push_back({.content = texts_[id], .special = special});
    }
    const bool adds_bos = vocabulary_.add_bos.value_or(byte_level_ ? pre_tokenizer().adds_bos : true);
    changes.frame =
        TextFrame{.bos = frame_token(adds_bos, "add_bos_token", "bos_token_id", bos_id()),
                  .eos = frame_token(vocabulary_.add_eos.value_or(false), "add_eos_token", "eos_token_id", eos_id())};
    return changes;
  }

  std::optional<std::string> frame_token(bool wanted, const char* flag, const char* key,
                                         const std::optional<std::int64_t>& id) const {
    if (!wanted) return std::nullopt;
    if (!id) fail_damaged(flag, std::string("true, but there is no tokenizer.ggml.") + key);
    return texts_[*id];
  }

  SpecialTokens special_tokens() const {
    return {.fallback = {.bos = bos_id(), .eos = eos_id(), .unknown = unknown_id(), .pad = vocabulary_.pad}};
  }

  // A "llama" file that names no special tokens has those of the first Llama.
  std::optional<std::int64_t> bos_id() const { return id_or_llama(vocabulary_.bos, 1); }
  std::optional<std::int64_t> eos_id() const { return id_or_llama(vocabulary_.eos, 2); }
  std::optional<std::int64_t> unknown_id() const { return id_or_llama(vocabulary_.unknown, 0); }

  std::optional<std::int64_t> id_or_llama(const std::optional<std::int64_t>& id, std::int64_t llama) const {
    if (id || byte_level_ || static_cast<std::size_t>(llama) >= texts_.size()) return id;
    return llama;
  }

  const GgufVocabulary& vocabulary_;
  bool byte_level_ = false;
  std::vector<std::string> texts_;  ///< the tokens, each with a text of its own
  TokenIndex index_;                ///< views into `texts_`
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary) {
  return GgufReader(vocabulary).tokenizer();
}

}  // namespace whence
