#include "checkpoint_tokenizer.h"

#include <algorithm>

#include "checkpoint_files.h"
#include "hf_tokenizer.h"
#include "language_codes.h"
#include "language_tokenizer.h"
#include "moses_cutter.h"
#include "moses_prefixes.h"
#include "piece_tokenizer.h"
#include "sentence_piece_cutter.h"
#include "vocabulary_description.h"

namespace whence {
namespace {

std::vector<std::string> m2m_codes(const CheckpointFiles& files) {
  const auto family = files.option<std::string>("language_codes").value_or("m2m100");
  auto codes = language_codes(family);
  if (codes.empty() || !(family == "m2m100" || family == "wmt21"))
    throw ModelError(files.path("tokenizer_config.json").string() +
                     ": language_codes: expected m2m100 or wmt21, found '" + family + "'");
  return codes;
}

/// The languages of a multilingual class; empty for the others.
std::optional<Languages> languages_of(const CheckpointFiles& files) {
  Languages languages;
  switch (files.tokenizer_class().layout) {
    case Layout::mbart:
      languages = {.place = LanguagePlace::after, .codes = language_codes("mbart"), .source = "en_XX"};
      break;
    case Layout::mbart50:
      languages = {.codes = language_codes("mbart50"), .source = "en_XX"};
      break;
    case Layout::nllb:
      languages = {.codes = language_codes("nllb"), .source = "eng_Latn"};
      if (files.option<bool>("legacy_behaviour").value_or(false)) languages.place = LanguagePlace::after;
      break;
    case Layout::seamless:
      languages = {.place = LanguagePlace::before_but_end,
                   .underscored = true,
                   .codes = files.additional_special_tokens(),
                   .source = "eng",
                   .target = "fra"};
      break;
    case Layout::m2m_100:
      languages = {.underscored = true, .codes = m2m_codes(files), .source = "en"};
      break;
    default:
      return std::nullopt;
  }
  languages.end = files.special_token("eos_token", "</s>").value_or("</s>");
  if (const auto source = files.option<std::string>("src_lang")) languages.source = *source;
  if (const auto target = files.option<std::string>("tgt_lang")) languages.target = *target;
  return languages;
}

PieceVocabulary piece_vocabulary(const CheckpointFiles& files, const std::filesystem::path& path) {
  const auto special = files.special();
  PieceVocabulary vocabulary{.ids = read_vocabulary_file(path),
                             .added = files.listed_tokens(),
                             .bos = special.bos,
                             .eos = special.eos,
                             .unknown = special.unknown,
                             .pad = special.pad};
  for (auto& token : files.special_tokens(true)) {
    const bool is_listed = std::any_of(vocabulary.added.begin(), vocabulary.added.end(),
                                       [&](const AddedToken& other) { return other.content == token.content; });
    if (!is_listed) vocabulary.added.push_back(std::move(token));
  }
  return vocabulary;
}

std::unique_ptr<Tokenizer> marian(const CheckpointFiles& files) {
  const auto name = files.class_text();
  const auto side = [&](const char* model, const char* vocab) {
    const auto path = files.require(vocab, name.c_str());
    PieceSide side{sentence_piece_cutter(files.require(model, name.c_str()), PieceStyle::marian),
                   piece_vocabulary(files, path), path.string()};
    side.vocabulary.frame.eos = side.vocabulary.eos.value_or("</s>");
    return side;
  };
  const bool separate = files.option<bool>("separate_vocabs").value_or(false);
  return piece_tokenizer(side("source.spm", "vocab.json"),
                         side("target.spm", separate ? "target_vocab.json" : "vocab.json"));
}

std::unique_ptr<Tokenizer> m2m_100(const CheckpointFiles& files) {
  const auto name = files.class_text();
  const auto path = files.require("vocab.json", name.c_str());
  PieceSide side{sentence_piece_cutter(files.require("sentencepiece.bpe.model", name.c_str()), PieceStyle::m2m_100),
                 piece_vocabulary(files, path), path.string()};
  for (const auto& code : m2m_codes(files)) side.vocabulary.languages.push_back("__" + code + "__");
  return piece_tokenizer(std::move(side), std::nullopt);
}

/// The target side has the vocabulary and the rules of its own language, although transformers uses those of the source
/// for all texts.
std::unique_ptr<Tokenizer> fsmt(const CheckpointFiles& files) {
  const auto name = files.class_text();
  const auto pieces = std::make_shared<const WordPieces>(files.require("merges.txt", name.c_str()));
  const auto languages = files.option<std::vector<std::string>>("langs").value_or(std::vector<std::string>());
  const auto config = files.path("tokenizer_config.json").string();
  if (languages.size() != 2)
    throw ModelError(config + ": langs: expected the languages of source and target, such as [\"en\", \"ru\"], found " +
                     std::to_string(languages.size()) + " languages");
  const auto side = [&](const char* vocab, const std::string& language) {
    const auto path = files.require(vocab, name.c_str());
    if (!has_moses_prefixes(language))
      throw ModelError(config + ": langs: there are no Moses rules for '" + language + "'; expected de, en or ru");
    PieceSide side{moses_cutter(pieces, {.language = language, .normalizes = true}), piece_vocabulary(files, path),
                   path.string()};
    side.vocabulary.frame.eos = files.special_token("sep_token", "</s>");
    side.vocabulary.lower_case = files.option<bool>("do_lower_case").value_or(false);
    return side;
  };
  return piece_tokenizer(side("vocab-src.json", languages[0]), side("vocab-tgt.json", languages[1]));
}

std::unique_ptr<Tokenizer> biogpt(const CheckpointFiles& files) {
  const auto name = files.class_text();
  const auto path = files.require("vocab.json", name.c_str());
  PieceSide side{
      moses_cutter(std::make_shared<const WordPieces>(files.require("merges.txt", name.c_str())), {.language = "en"}),
      piece_vocabulary(files, path), path.string()};
  side.vocabulary.frame.bos = files.special_token("sep_token", "</s>");
  return piece_tokenizer(std::move(side), std::nullopt);
}

std::unique_ptr<Tokenizer> of_pieces(const CheckpointFiles& files) {
  switch (files.tokenizer_class().layout) {
    case Layout::marian:
      return marian(files);
    case Layout::m2m_100:
      return m2m_100(files);
    case Layout::fsmt:
      return fsmt(files);
    default:
      return biogpt(files);
  }
}

std::unique_ptr<Tokenizer> without_languages(const CheckpointFiles& files) {
  if (reads_pieces(files)) return of_pieces(files);
  if (files.has("tokenizer.json")) {
    const auto path = files.path("tokenizer.json");
    return std::make_unique<HfTokenizer>(read_file(path), path.string(), files.changes(), files.special());
  }
  if (files.tokenizer_class().layout == Layout::none)
    throw ModelError(files.path("").parent_path().string() + ": tokenizer.json is missing, and for a " +
                     files.class_text() +
                     " no other files are read; fetch it with the checkpoint, or save it with save_pretrained of a "
                     "fast tokenizer of transformers");
  const auto description = describe_vocabulary(files);
  return std::make_unique<HfTokenizer>(description.json, description.origin, description.changes, files.special());
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_directory(const std::filesystem::path& directory) {
  const CheckpointFiles files(directory);
  auto tokenizer = without_languages(files);
  auto languages = languages_of(files);
  if (!languages) return tokenizer;
  return with_languages(std::move(tokenizer), std::move(*languages), directory.string());
}

}  // namespace whence
