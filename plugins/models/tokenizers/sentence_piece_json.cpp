#include "sentence_piece_json.h"

#include <nlohmann/json.hpp>

namespace whence {
namespace {

using nlohmann::json;

constexpr const char* kSpaceMark = "\xE2\x96\x81";

json model_json(const SentencePieceJson& description) {
  json vocab = description.is_unigram ? json::array() : json::object();
  if (description.is_unigram) {
    for (const auto& piece : description.pieces) vocab.push_back({piece.text, piece.score});
    return {{"type", "Unigram"},
            {"unk_id", description.unknown_id},
            {"vocab", vocab},
            {"byte_fallback", description.byte_fallback}};
  }
  for (std::size_t id = 0; id < description.pieces.size(); ++id) vocab[description.pieces[id].text] = id;
  json merges = json::array();
  for (const auto& merge : scored_merges(description.pieces, description.merges_normal_only)) {
    merges.push_back({merge.left, merge.right});
  }
  return {{"type", "BPE"},    {"unk_token", description.unknown_piece ? json(*description.unknown_piece) : json()},
          {"fuse_unk", true}, {"byte_fallback", description.byte_fallback},
          {"vocab", vocab},   {"merges", merges}};
}

json metaspace(Prepends prepends, bool split) {
  const char* scheme = prepends == Prepends::always ? "always" : prepends == Prepends::first ? "first" : "never";
  return {{"type", "Metaspace"}, {"replacement", kSpaceMark}, {"prepend_scheme", scheme}, {"split", split}};
}

json normalizer_json(const SentencePieceJson& description) {
  const json marks = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  json steps = json::array();
  switch (description.spaces) {
    case Spaces::metaspace:
      return nullptr;
    case Spaces::gemma:
      return marks;
    case Spaces::replaced:
      if (description.prepends != Prepends::never) steps.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
      steps.push_back(marks);
      break;
    case Spaces::sentence_piece:
      if (!description.charsmap.empty())
        steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", description.charsmap}});
      steps.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
      steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", kSpaceMark}});
      break;
  }
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

json pre_tokenizer_json(const SentencePieceJson& description) {
  switch (description.spaces) {
    case Spaces::replaced:
      return nullptr;
    case Spaces::metaspace:
      return metaspace(description.prepends, false);
    case Spaces::gemma:
      return {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
    case Spaces::sentence_piece:
      break;
  }
  const auto cut = metaspace(description.prepends, true);
  if (!description.splits_white_space) return cut;
  return {{"type", "Sequence"}, {"pretokenizers", {{{"type", "WhitespaceSplit"}}, cut}}};
}

json decoder_json(const SentencePieceJson& description) {
  if (description.spaces == Spaces::sentence_piece) return metaspace(description.prepends, true);
  json decoders = {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}};
  if (description.spaces != Spaces::gemma && description.prepends != Prepends::never)
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", decoders}};
}

}  // namespace

std::string to_json(const SentencePieceJson& description) {
  return json{{"version", "1.0"},
              {"normalizer", normalizer_json(description)},
              {"pre_tokenizer", pre_tokenizer_json(description)},
              {"decoder", decoder_json(description)},
              {"model", model_json(description)}}
      .dump();
}

}  // namespace whence
