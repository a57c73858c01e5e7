#include "vocabulary_description.h"

#include <algorithm>
#include <set>

#include "gguf_pre_tokenizers.h"
#include "language_codes.h"
#include "merges_file.h"
#include "sentence_piece_json.h"
#include "sentence_piece_model.h"

namespace whence {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::int64_t kMaxId = std::int64_t{1} << 22;  ///< beyond anything real

/// The pairs of a merges.txt, all of them made of tokens.
json read_merges(const fs::path& path, const json& vocab) {
  json merges = json::array();
  for (const auto& [left, right, place] : read_merges_file(path, false)) {
    for (const auto& part : {left, right, left + right}) {
      if (!vocab.contains(part))
        throw ModelError(place + "'" + part + "' is not in vocab.json; fetch both files again");
    }
    merges.push_back({left, right});
  }
  return merges;
}

std::int64_t id_in(const json& vocab, const std::string& token, const fs::path& path) {
  const auto found = vocab.find(token);
  if (found == vocab.end())
    throw ModelError(path.string() + ": the special token '" + token + "' is missing; fetch the file again");
  return *found;
}

VocabularyDescription merged_pairs(const CheckpointFiles& files) {
  const auto layout = files.tokenizer_class().layout;
  const auto name = files.class_text();
  const auto vocab_path = files.require("vocab.json", name.c_str());
  const auto merges_path = files.require("merges.txt", name.c_str());
  const auto vocab = read_vocabulary_file(vocab_path);
  VocabularyDescription description{.origin = vocab_path.string(), .changes = files.changes_with_defaults({})};
  json model = {{"type", "BPE"}, {"vocab", vocab}, {"merges", read_merges(merges_path, vocab)}};
  const bool add_prefix_space = files.option<bool>("add_prefix_space").value_or(false);
  const auto byte_level = [&](bool use_regex) -> json {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space},
            {"trim_offsets", true},
            {"use_regex", use_regex}};
  };
  json whole = {{"version", "1.0"}, {"pre_tokenizer", byte_level(true)}, {"decoder", byte_level(true)}};
  switch (layout) {
    case Layout::qwen2:
      whole["normalizer"] = {{"type", "NFC"}};
      whole["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers",
                                 {{{"type", "Split"},
                                   {"pattern", {{"Regex", find_gguf_pre_tokenizer("qwen2")->patterns[0]}}},
                                   {"behavior", "Isolated"},
                                   {"invert", false}},
                                  byte_level(false)}}};
      break;
    case Layout::bart: {
      const auto end = files.special_token("sep_token", "</s>"), start = files.special_token("cls_token", "<s>");
      if (!end || !start) break;
      whole["post_processor"] = {{"type", "RobertaProcessing"},
                                 {"sep", {*end, id_in(vocab, *end, vocab_path)}},
                                 {"cls", {*start, id_in(vocab, *start, vocab_path)}},
                                 {"trim_offsets", files.option<bool>("trim_offsets").value_or(true)},
                                 {"add_prefix_space", add_prefix_space}};
      break;
    }
    case Layout::blenderbot:
      description.changes.frame = TextFrame{.eos = files.special_token("eos_token", "</s>")};
      break;
    case Layout::word_ends:
      model["unk_token"] = files.special_token("unk_token", "<unk>").value_or("<unk>");
      model["end_of_word_suffix"] = "</w>";
      whole["normalizer"] = {{"type", "BertNormalizer"},
                             {"clean_text", true},
                             {"handle_chinese_chars", true},
                             {"strip_accents", nullptr},
                             {"lowercase", true}};
      whole["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
      whole["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
      break;
    default:
      if (files.option<bool>("add_bos_token").value_or(false))
        description.changes.frame = TextFrame{.bos = files.special_token("bos_token", files.tokenizer_class().bos)};
      break;
  }
  whole["model"] = std::move(model);
  description.json = whole.dump();
  return description;
}

using Pieces = std::vector<SentencePiece>;

/// Tokens before and after those of the file, as fairseq orders them.
Pieces with_fairseq_order(const SentencePieceModel& model, const std::vector<std::string>& first,
                          const std::vector<std::string>& last) {
  Pieces pieces;
  for (const auto& token : first) pieces.push_back({token});
  pieces.insert(pieces.end(), model.pieces.begin() + std::min<std::size_t>(3, model.pieces.size()), model.pieces.end());
  for (const auto& token : last) pieces.push_back({token});
  return pieces;
}

/// Places that Pegasus keeps for its pre-training.
Pieces with_pegasus_places(const SentencePieceModel& model, const CheckpointFiles& files, std::int64_t offset,
                           std::vector<std::string>& special) {
  Pieces pieces = {{files.special_token("pad_token", "<pad>").value_or("<pad>")},
                   {files.special_token("eos_token", "</s>").value_or("</s>")}};
  if (const auto sentence = files.special_token("mask_token_sent", "<mask_1>")) {
    pieces.push_back({*sentence});
    special.push_back(*sentence);
    if (const auto word = files.special_token("mask_token", "<mask_2>")) pieces.push_back({*word});
  }
  for (std::int64_t i = 2; i < offset; ++i) {
    special.push_back("<unk_" + std::to_string(i) + ">");
    pieces.push_back({special.back(), -100});
  }
  pieces.insert(pieces.end(), model.pieces.begin() + std::min<std::size_t>(2, model.pieces.size()), model.pieces.end());
  return pieces;
}

/// How the first Gemma checkpoints miss a piece for the tab, and what stands for it.
void put_tab(Pieces& pieces) {
  const auto has = [&](const char* text) {
    return std::find_if(pieces.begin(), pieces.end(), [&](const auto& piece) { return piece.text == text; });
  };
  if (has("\t") != pieces.end()) return;
  if (const auto byte = has("<0x09>"); byte != pieces.end()) *byte = {"\t", 0};
}

VocabularyDescription sentence_pieces(const CheckpointFiles& files) {
  const auto layout = files.tokenizer_class().layout;
  const bool is_llama = layout == Layout::llama, is_gemma = layout == Layout::gemma;
  const char* file = is_llama || is_gemma                                ? "tokenizer.model"
                     : layout == Layout::t5 || layout == Layout::pegasus ? "spiece.model"
                                                                         : "sentencepiece.bpe.model";
  const auto name = files.class_text();
  const auto path = files.require(file, name.c_str());
  const auto model = read_sentence_piece_model(read_file(path), path);

  SentencePieceJson whole{
      .is_unigram = model.is_unigram, .unknown_piece = model.unknown_piece, .charsmap = model.charsmap};
  std::int64_t unknown = 3;
  std::vector<std::string> more;
  std::optional<TextFrame> frame;
  const bool keeps_spaces = files.option<bool>("legacy").value_or(true);
  const std::vector<std::string> heads = {"<s>", "<pad>", "</s>", "<unk>"};
  switch (layout) {
    case Layout::t5: {
      const auto extra = files.option<std::int64_t>("extra_ids").value_or(100);
      if (extra < 0 || extra > kMaxId)
        throw ModelError(files.path("tokenizer_config.json").string() +
                         ": extra_ids: expected a count of tokens, found " + std::to_string(extra));
      whole.pieces = model.pieces;
      for (auto i = extra - 1; i >= 0; --i) whole.pieces.push_back({"<extra_id_" + std::to_string(i) + ">"});
      for (std::int64_t i = 0; i < extra; ++i) more.push_back("<extra_id_" + std::to_string(i) + ">");
      unknown = model.unknown_id;
      whole.prepends = !files.option<bool>("add_prefix_space").value_or(true) ? Prepends::never
                       : keeps_spaces                                         ? Prepends::always
                                                                              : Prepends::first;
      frame = TextFrame{.eos = "</s>"};
      break;
    }
    case Layout::pegasus: {
      const auto offset = files.option<std::int64_t>("offset").value_or(103);
      if (offset < 0 || offset > kMaxId)
        throw ModelError(files.path("tokenizer_config.json").string() + ": offset: expected a count of tokens, found " +
                         std::to_string(offset));
      whole.pieces = with_pegasus_places(model, files, offset, more);
      whole.splits_white_space = true;
      unknown = model.unknown_id + offset;
      frame = TextFrame{.eos = files.special_token("eos_token", "</s>")};
      break;
    }
    case Layout::mbart:
    case Layout::mbart50: {
      more = language_codes(layout == Layout::mbart ? "mbart" : "mbart50");
      auto last = more;
      last.push_back("<mask>");
      whole.pieces = with_fairseq_order(model, heads, last);
      break;
    }
    case Layout::nllb:
      if (files.additional_special_tokens().empty()) more = language_codes("nllb");
      whole.pieces = with_fairseq_order(model, heads, {});
      break;
    case Layout::seamless:
      whole.pieces = with_fairseq_order(model, {"<pad>", "<unk>", "<s>", "</s>"}, {});
      whole.prepends = Prepends::first;
      unknown = 1;
      break;
    case Layout::xglm:
      for (int i = 0; i < 7; ++i) more.push_back("<madeupword" + std::to_string(i) + ">");
      whole.pieces = with_fairseq_order(model, heads, more);
      frame = TextFrame{.bos = "</s>"};
      break;
    case Layout::llama:
      whole.pieces = model.pieces;
      for (std::size_t i = 0; i < 3 && i < whole.pieces.size(); ++i) whole.pieces[i].score = 0;
      whole.byte_fallback = true;
      whole.spaces = keeps_spaces ? Spaces::replaced : Spaces::metaspace;
      whole.prepends = !files.option<bool>("add_prefix_space").value_or(true) ? Prepends::never
                       : keeps_spaces                                         ? Prepends::always
                                                                              : Prepends::first;
      unknown = 0;
      break;
    default:  // Gemma
      whole.pieces = with_fairseq_order(model,
                                        {files.special_token("pad_token", "<pad>").value_or("<pad>"),
                                         files.special_token("eos_token", "<eos>").value_or("<eos>"),
                                         files.special_token("bos_token", "<bos>").value_or("<bos>")},
                                        {});
      put_tab(whole.pieces);
      whole.byte_fallback = true;
      whole.spaces = Spaces::gemma;
      break;
  }
  whole.unknown_id = unknown;
  // The first pieces may have given their places to others, hence those of the file.
  const std::set<std::string> turns =
      is_gemma ? std::set<std::string>{"<start_of_turn>", "<end_of_turn>"} : std::set<std::string>{};
  std::vector<AddedToken> added;
  for (const auto& piece : model.pieces) {
    if (piece.type != TokenType::control && piece.type != TokenType::user_defined) continue;
    added.push_back({.content = piece.text, .special = piece.type == TokenType::control || turns.contains(piece.text)});
  }
  VocabularyDescription description{
      .json = to_json(whole), .origin = path.string(), .changes = files.changes_with_defaults(more)};
  description.changes.added_tokens.insert(description.changes.added_tokens.begin(), added.begin(), added.end());
  if (frame) description.changes.frame = frame;
  return description;
}

}  // namespace

json read_vocabulary_file(const fs::path& path) {
  const auto vocab = read_object(path);
  if (vocab.empty()) throw ModelError(path.string() + ": no tokens; fetch the file again");
  std::set<std::int64_t> ids;
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_integer() || id < 0 || id > kMaxId)
      throw ModelError(path.string() + ": '" + token + "': expected an id from 0 to " + std::to_string(kMaxId) +
                       ", found " + id.dump() + "; fetch the file again");
    if (!ids.insert(id.get<std::int64_t>()).second)
      throw ModelError(path.string() + ": '" + token + "': id " + id.dump() +
                       " belongs to two tokens; fetch the file again");
  }
  return vocab;
}

VocabularyDescription describe_vocabulary(const CheckpointFiles& files) {
  switch (files.tokenizer_class().layout) {
    case Layout::byte_level:
    case Layout::qwen2:
    case Layout::bart:
    case Layout::blenderbot:
    case Layout::word_ends:
      return merged_pairs(files);
    default:
      return sentence_pieces(files);
  }
}

}  // namespace whence
