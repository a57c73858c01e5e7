#include "gguf_tokenizer.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "gguf_pre_tokenizers.h"
#include "gguf_tokens.h"
#include "hf_tokenizer.h"
#include "sentence_piece_json.h"
#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;

/// SentencePiece writes a space as U+2581.
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

std::string join(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// Assembles the description that HfTokenizer takes.
class GgufReader {
 public:
  explicit GgufReader(const GgufVocabulary& vocabulary) : vocabulary_(vocabulary), tokens_(vocabulary) {}

  std::unique_ptr<Tokenizer> tokenizer() const {
    const SpecialTokens special = {
        .fallback = {.bos = tokens_.bos(), .eos = tokens_.eos(), .unknown = tokens_.unknown(), .pad = tokens_.pad()}};
    return std::make_unique<HfTokenizer>(description(), vocabulary_.origin, changes(), special);
  }

 private:
  std::string description() const {
    switch (tokens_.kind()) {
      case GgufKind::bpe:
        return (pre_tokenizer().byte_level ? byte_level_json() : space_mark_json()).dump();
      case GgufKind::sentence_piece:
        return to_json(sentence_pieces());
      case GgufKind::unigram:
        return to_json(unigram());
      case GgufKind::word_piece:
        return word_piece_json().dump();
    }
    throw ModelError("unreachable");
  }

  const GgufPreTokenizer& pre_tokenizer() const {
    const std::string name = vocabulary_.model == "gemma4" ? "gemma4"
                             : vocabulary_.pre.empty()     ? "default"
                                                           : vocabulary_.pre;
    if (const auto* found = find_gguf_pre_tokenizer(name)) return *found;
    if (name == "whitespace")
      tokens_.fail("pre",
                   "'whitespace' is a pre-tokenizer of embedding models, which is not read; take a model that "
                   "generates text");
    const auto names = gguf_pre_tokenizer_names();
    const auto nearest = nearest_name(name, names);
    tokens_.fail("pre", "unknown pre-tokenizer '" + name + "'" +
                            (nearest.empty() ? "" : ", the nearest is '" + nearest + "'") + "; known are " +
                            join(names) + "; use the checkpoint's Hugging Face directory");
  }

  json byte_level_json() const {
    const auto normalizer = pre_tokenizer().composes ? json{{"type", "NFC"}} : json();
    return {{"version", "1.0"},
            {"normalizer", normalizer},
            {"pre_tokenizer", to_json(pre_tokenizer())},
            {"decoder", whence::byte_level_json()},
            {"model",
             {{"type", "BPE"},
              {"ignore_merges", pre_tokenizer().ignores_merges},
              {"vocab", vocab_json()},
              {"merges", listed_merges()}}}};
  }

  /// Merges of characters as they are, with the mark for spaces.
  json space_mark_json() const {
    const auto replace = [](std::string_view from, std::string_view to) -> json {
      return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
    };
    return {{"version", "1.0"},
            {"normalizer", replace(" ", kSpaceMark)},
            {"pre_tokenizer", to_json(pre_tokenizer())},
            {"decoder",
             {{"type", "Sequence"},
              {"decoders", {replace(kSpaceMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
            {"model",
             {{"type", "BPE"},
              {"unk_token", tokens_.unknown() ? json(text(*tokens_.unknown())) : json()},
              {"byte_fallback", true},
              {"fuse_unk", true},
              {"vocab", vocab_json()},
              {"merges", listed_merges()}}}};
  }

  json vocab_json() const {
    json vocab = json::object();
    for (std::size_t id = 0; id < tokens_.texts().size(); ++id) vocab[tokens_.texts()[id]] = id;
    return vocab;
  }

  json listed_merges() const {
    if (vocabulary_.merges.empty())
      tokens_.fail_damaged("merges", "no merges, a " + vocabulary_.model + " vocabulary needs them");
    json merges = json::array();
    for (std::size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
      const std::string_view merge = vocabulary_.merges[rank];
      const auto place = "merges[" + std::to_string(rank) + "]";
      // A first token that is itself a space is possible, hence the search from the second byte on.
      const auto space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size())
        tokens_.fail_damaged(place, "expected two tokens and a space between them");
      const auto left = merge.substr(0, space), right = merge.substr(space + 1);
      for (const auto& part : {std::string(left), std::string(right), std::string(left) + std::string(right)}) {
        if (!tokens_.contains(part))
          tokens_.fail_damaged(place, first_invalid_byte(part) ? "not valid UTF-8" : "'" + part + "' is not a token");
      }
      merges.push_back({left, right});
    }
    return merges;
  }

  std::vector<SentencePiece> pieces() const {
    std::vector<SentencePiece> pieces;
    for (std::size_t id = 0; id < tokens_.texts().size(); ++id)
      pieces.push_back({tokens_.texts()[id], vocabulary_.scores[id], static_cast<TokenType>(tokens_.type(id))});
    return pieces;
  }

  SentencePieceJson sentence_pieces() const {
    return {.is_unigram = false,
            .pieces = pieces(),
            .unknown_piece = tokens_.unknown() ? std::optional(text(*tokens_.unknown())) : std::nullopt,
            .spaces = Spaces::replaced,
            .prepends = prepends(),
            .byte_fallback = true,
            .merges_normal_only = true};
  }

  SentencePieceJson unigram() const {
    if (!vocabulary_.remove_extra_whitespaces.value_or(true))
      tokens_.fail("remove_extra_whitespaces",
                   "a unigram vocabulary that keeps runs of spaces is not read, found false; use the checkpoint's "
                   "Hugging Face directory");
    if (!tokens_.unknown()) tokens_.fail_damaged("unknown_token_id", "missing, a t5 vocabulary needs it");
    std::string charsmap;
    if (!vocabulary_.charsmap.empty()) {
      try {
        charsmap = checked_charsmap(vocabulary_.charsmap);
      } catch (const ModelError& error) {
        tokens_.fail_damaged("precompiled_charsmap", error.what());
      }
    }
    return {.pieces = pieces(), .unknown_id = *tokens_.unknown(), .charsmap = charsmap, .prepends = prepends()};
  }

  Prepends prepends() const { return vocabulary_.add_space_prefix.value_or(true) ? Prepends::always : Prepends::never; }

  /// GGUF marks the pieces that start a word, the tokenizers library those that do not.
  json word_piece_json() const {
    json vocab = json::object();
    for (std::size_t id = 0; id < tokens_.texts().size(); ++id) vocab[word_piece(id)] = id;
    const bool lowercase = vocabulary_.lowercase.value_or(true);
    return {{"version", "1.0"},
            {"normalizer",
             {{"type", "BertNormalizer"},
              {"clean_text", true},
              {"handle_chinese_chars", true},
              {"strip_accents", vocabulary_.strip_accents.value_or(lowercase)},
              {"lowercase", lowercase}}},
            {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
            {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
            {"model",
             {{"type", "WordPiece"},
              {"unk_token", token(tokens_.unknown(), "unknown_token_id")},
              {"continuing_subword_prefix", "##"},
              {"max_input_chars_per_word", 100},
              {"vocab", vocab}}}};
  }

  std::string word_piece(std::size_t id) const {
    const auto& text = tokens_.texts()[id];
    if (text.starts_with(kSpaceMark)) return text.substr(kSpaceMark.size());
    const bool is_bracketed = text.size() > 1 && text.starts_with('[') && text.ends_with(']');
    return tokens_.type(id) != GgufTokenType::normal || is_bracketed ? text : "##" + text;
  }

  TokenizerChanges changes() const {
    TokenizerChanges changes;
    for (std::size_t id = 0; id < tokens_.texts().size(); ++id) {
      const auto kind = tokens_.type(id);
      const bool special = kind == GgufTokenType::control || kind == GgufTokenType::unknown;
      if (special || kind == GgufTokenType::user_defined)
        changes.added_tokens.push_back({.content = tokens_.texts()[id], .special = special});
    }
    changes.frame = frame();
    return changes;
  }

  /// What the file says, else what its kind means by silence.
  TextFrame frame() const {
    if (tokens_.kind() == GgufKind::word_piece)
      return {.bos = token(tokens_.bos(), "bos_token_id"), .eos = token(tokens_.separator(), "seperator_token_id")};
    const bool adds_bos =
        tokens_.kind() == GgufKind::sentence_piece || (tokens_.kind() == GgufKind::bpe && pre_tokenizer().adds_bos);
    const bool adds_eos = tokens_.kind() == GgufKind::unigram;
    return {.bos = frame_token(vocabulary_.add_bos.value_or(adds_bos), "add_bos_token", "bos_token_id", tokens_.bos()),
            .eos = frame_token(vocabulary_.add_eos.value_or(adds_eos), "add_eos_token", "eos_token_id", tokens_.eos())};
  }

  std::optional<std::string> frame_token(bool wanted, const char* flag, const char* key,
                                         const std::optional<std::int64_t>& id) const {
    if (!wanted) return std::nullopt;
    if (!id) tokens_.fail_damaged(flag, std::string("true, but there is no tokenizer.ggml.") + key);
    return text(*id);
  }

  std::string token(const std::optional<std::int64_t>& id, const char* key) const {
    if (!id) tokens_.fail_damaged(key, "missing, a " + vocabulary_.model + " vocabulary needs it");
    return text(*id);
  }

  const std::string& text(std::int64_t id) const { return tokens_.texts()[static_cast<std::size_t>(id)]; }

  const GgufVocabulary& vocabulary_;
  GgufTokens tokens_;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary) {
  return GgufReader(vocabulary).tokenizer();
}

}  // namespace whence
