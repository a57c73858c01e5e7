#include "tokenizer_files.h"

#include "checkpoint_files.h"
#include "gguf_tokens.h"
#include "vocabulary_description.h"

namespace whence {
namespace {

/// The types of the steps of a pre-tokenizer, in order.
std::string steps_text(const nlohmann::json& step) {
  if (!step.is_object()) return "";
  const std::string type = step.value("type", "");
  if (type != "Sequence") return type;
  std::string text;
  if (const auto steps = step.find("pretokenizers"); steps != step.end() && steps->is_array())
    for (const auto& inner : *steps) text += (text.empty() ? "" : ", ") + steps_text(inner);
  return text;
}

TokenizerFiles described(const nlohmann::json& json, const std::string& source) {
  const auto model = json.find("model"), steps = json.find("pre_tokenizer");
  TokenizerFiles result{.kind = {}, .source = source, .pre_tokenizer = {}};
  if (model != json.end() && model->is_object()) result.kind = model->value("type", "");
  if (steps != json.end()) result.pre_tokenizer = steps_text(*steps);
  return result;
}

}  // namespace

TokenizerFiles tokenizer_files_of(const std::filesystem::path& directory) {
  const CheckpointFiles files(directory);
  if (reads_pieces(files)) switch (files.tokenizer_class().layout) {
      case Layout::marian:
        return {"SentencePiece", "source.spm, target.spm, vocab.json", ""};
      case Layout::fsmt:
        return {"BPE", "merges.txt, vocab-src.json, vocab-tgt.json", "Moses"};
      case Layout::biogpt:
        return {"BPE", "merges.txt, vocab.json", "Moses"};
      default:
        return {"SentencePiece", "sentencepiece.bpe.model, vocab.json", ""};
    }
  if (files.has("tokenizer.json")) return described(read_object(files.path("tokenizer.json")), "tokenizer.json");
  const VocabularyDescription description = describe_vocabulary(files);
  return described(nlohmann::json::parse(description.json), std::filesystem::path(description.origin).filename());
}

TokenizerFiles tokenizer_files_of(const GgufVocabulary& vocabulary) {
  static constexpr const char* kKinds[] = {"BPE", "SentencePiece BPE", "Unigram", "WordPiece"};
  const GgufKind kind = GgufTokens(vocabulary).kind();
  TokenizerFiles result{kKinds[static_cast<std::size_t>(kind)], "tokenizer.ggml.model " + vocabulary.model, ""};
  if (kind == GgufKind::bpe) result.pre_tokenizer = vocabulary.pre.empty() ? "default" : vocabulary.pre;
  return result;
}

}  // namespace whence
