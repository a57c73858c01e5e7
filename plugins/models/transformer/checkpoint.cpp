#include "checkpoint.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "checkpoint_tokenizer.h"
#include "gguf_file.h"
#include "gguf_tokenizer.h"
#include "gguf_vocabulary.h"
#include "jinja_chat_template.h"
#include "safetensors_file.h"
#include "weight_reader.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;

bool has_gguf_magic(const fs::path& path) {
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::string_view(magic, sizeof magic) == "GGUF";
}

std::string no_config_text(const fs::path& directory) {
  std::string text = directory.string() + ": no config.json in this folder";
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ".gguf")
      return text + "; give the path of " + entry.path().filename().string() + " itself";
  return text + "; expected the folder of a Hugging Face checkpoint, or the path of a .gguf file";
}

/// A file or a folder with a configuration, whatever that holds. Throws ModelError when there is none.
bool is_folder(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (!fs::exists(path / "config.json")) throw ModelError(no_config_text(path));
    return true;
  }
  if (!fs::exists(path, error)) throw ModelError(path.string() + ": no such file or folder");
  if (path.extension() != ".gguf" && !has_gguf_magic(path))
    throw ModelError(path.string() + ": expected a GGUF file, or the folder of a Hugging Face checkpoint");
  return false;
}

void check_not_quantised(const HyperParameters& config) {
  if (!config.find("quantization_config").is_null())
    throw ModelError(config.place("quantization_config") +
                     ": quantised safetensors are not supported; take the unquantised checkpoint or a GGUF file");
}

/// What a checkpoint calls its architecture.
struct ArchitectureName {
  std::string key;  ///< "model_type", "architectures" or "general.architecture"
  std::string text;
  std::string list;  ///< under which an architecture file lists such names
};

ArchitectureName architecture_name(const HyperParameters& checkpoint) {
  if (checkpoint.format() == CheckpointFormat::gguf)
    return {"general.architecture", checkpoint.gguf_architecture(), "gguf_architectures"};
  if (const Value type = checkpoint.find("model_type"); type.is_string())
    return {"model_type", type.as_string(), "model_types"};
  const Value classes = checkpoint.find("architectures");
  if (classes.is_list() && !classes.as_list().empty() && classes.as_list()[0].is_string())
    return {"architectures", classes.as_list()[0].as_string(), "class_names"};
  throw ModelError(checkpoint.file() + ": expected 'model_type', which says how the model is built; it is missing");
}

std::optional<Architecture> match(const ArchitectureName& name, const HyperParameters& checkpoint,
                                  const std::vector<Value>& files, std::vector<std::string>& known) {
  // Only files that name the checkpoint's architecture are read further.
  for (const auto& file : files) {
    const Value* listed = file.find(name.list);
    if (!listed) continue;
    for (const Value& candidate : listed->as_list()) {
      if (candidate.as_string() == name.text)
        if (Architecture architecture = Architecture::parse(file); applies(architecture, checkpoint))
          return architecture;
      if (std::find(known.begin(), known.end(), candidate.as_string()) == known.end())
        known.push_back(candidate.as_string());
    }
  }
  return std::nullopt;
}

/// What a checkpoint says of generating, if it has a file for that.
std::optional<HyperParameters> generation_config(const fs::path& folder) {
  const fs::path file = folder / "generation_config.json";
  return fs::exists(file) ? std::optional(HyperParameters::from_config(file)) : std::nullopt;
}

/// The number of tokens, if there are more than rows of the embedding. There may be more rows than tokens. Every token
/// needs one but for special ones, such as a padding token that somebody added: these are refused in texts that hold
/// them.
std::optional<std::int64_t> tokens_without_rows(const Tokenizer& tokenizer, std::int64_t rows) {
  const TokenIds& special = tokenizer.all_special_ids();
  std::int64_t size = rows;
  bool needs_row = false;
  for (; tokenizer.token(size); ++size)
    needs_row = needs_row || !std::binary_search(special.begin(), special.end(), size);
  return needs_row ? std::optional(size) : std::nullopt;
}

void append_ids(const Value& value, TokenIds& ids) {
  if (value.is_int()) ids.push_back(value.as_int());
  if (value.is_list())
    for (const auto& item : value.as_list()) append_ids(item, ids);
}

}  // namespace

std::optional<Architecture> find_architecture(const ModelRequest& request) {
  const fs::path path = request.path;
  const HyperParameters checkpoint =
      is_folder(path) ? HyperParameters::from_config(path / "config.json") : HyperParameters::from_gguf(GgufFile(path));
  if (checkpoint.format() == CheckpointFormat::config_json) check_not_quantised(checkpoint);
  std::vector<std::string> known;
  return match(architecture_name(checkpoint), checkpoint, request.architectures, known);
}

Checkpoint::Checkpoint(const ModelRequest& request) : Checkpoint(request, nullptr) {}

Checkpoint::Checkpoint(const ModelRequest& request, std::vector<CheckpointProblem>* problems)
    : path_(request.path), is_gguf_(!is_folder(path_)) {
  if (is_gguf_) {
    auto file = std::make_unique<GgufFile>(path_);
    hyper_parameters_ = HyperParameters::from_gguf(*file);
    store_ = std::move(file);
  } else {
    attempt(problems, [&] { hyper_parameters_ = HyperParameters::from_config(path_ / "config.json"); });
    if (!hyper_parameters_) return;
    attempt(problems, [&] { check_not_quantised(*hyper_parameters_); });
  }
  attempt(problems, [&] {
    const ArchitectureName name = architecture_name(*hyper_parameters_);
    type_key_ = name.key;
    type_ = name.text;
    std::vector<std::string> known;
    auto found = match(name, *hyper_parameters_, request.architectures, known);
    if (!found)
      throw ModelError(hyper_parameters_->file() + ": '" + name.key +
                       "': " + UnknownName({}, "architecture", name.text, known).what() +
                       " (an architecture file can add one)");
    if (!found->weights.contains(hyper_parameters_->format()))
      throw ModelError(hyper_parameters_->file() + ": the weight names of architecture " + found->name +
                       " are not known for this format");
    architecture_ = std::move(*found);
  });
}

Checkpoint::~Checkpoint() = default;

const WeightNames& Checkpoint::weight_names() const { return architecture_.weights.at(hyper_parameters_->format()); }

const TensorStore& Checkpoint::store() const {
  if (!store_) store_ = std::make_unique<SafetensorsFile>(path_);
  return *store_;
}

std::unique_ptr<Tokenizer> Checkpoint::tokenizer() const {
  auto tokenizer = unchecked_tokenizer();
  check_vocabulary(*tokenizer);
  return tokenizer;
}

std::unique_ptr<Tokenizer> Checkpoint::unchecked_tokenizer() const {
  return is_gguf_ ? tokenizer_from_gguf(read_vocabulary(static_cast<const GgufFile&>(*store_)))
                  : tokenizer_from_directory(path_);
}

TokenizerFiles Checkpoint::tokenizer_files() const {
  return is_gguf_ ? tokenizer_files_of(read_vocabulary(static_cast<const GgufFile&>(*store_)))
                  : tokenizer_files_of(path_);
}

void Checkpoint::check_vocabulary(const Tokenizer& tokenizer) const {
  if (is_gguf_) {
    if (has_architecture()) check_embedding(tokenizer);
    return;
  }
  if (!hyper_parameters_) return;
  check_size(tokenizer, {"vocab_size", "src_vocab_size"});
  // One tokenizer for both sides has the tokens of the larger vocabulary.
  if (&tokenizer.on(Side::target) != &tokenizer)
    check_size(tokenizer.on(Side::target), {"decoder_vocab_size", "vocab_size", "tgt_vocab_size"});
}

std::unique_ptr<ChatTemplate> Checkpoint::chat_template() const {
  if (!is_gguf_) return chat_template_from_directory(path_);
  const auto& file = static_cast<const GgufFile&>(*store_);
  std::vector<ChatTemplateSource> sources;
  std::vector<std::string> texts;
  const auto add = [&](const std::string& name, const std::string& key) {
    if (auto text = file.get<std::string>(key)) {
      sources.push_back({name, path_.string() + ": " + key});
      texts.push_back(std::move(*text));
    }
  };
  add("default", "tokenizer.chat_template");
  for (const std::string& name :
       file.get<std::vector<std::string>>("tokenizer.chat_templates").value_or(std::vector<std::string>()))
    add(name, "tokenizer.chat_template." + name);
  Value::Map specials;
  const auto tokens = file.require<std::vector<std::string>>("tokenizer.ggml.tokens");
  for (const auto& [variable, key] :
       {std::pair{"bos_token", "bos"}, {"eos_token", "eos"}, {"unk_token", "unknown"}, {"pad_token", "padding"}})
    if (const auto id = file.get<std::int64_t>("tokenizer.ggml." + std::string(key) + "_token_id");
        id && *id >= 0 && *id < std::ssize(tokens))
      specials.emplace_back(variable, Value(tokens[*id]));
  return std::make_unique<JinjaChatTemplate>(path_.string(), std::move(specials), std::move(sources), std::move(texts));
}

void Checkpoint::check_size(const Tokenizer& tokenizer, const std::vector<std::string>& keys) const {
  for (const auto& key : keys) {
    const Value value = hyper_parameters_->find(key);
    if (!value.is_int()) continue;
    if (const auto tokens = tokens_without_rows(tokenizer, value.as_int()))
      throw ModelError(path_.string() + ": the tokenizer has " + std::to_string(*tokens) + " tokens, but " + key +
                       " of config.json is " + std::to_string(value.as_int()) +
                       "; fetch the tokenizer files and config.json of one and the same checkpoint");
    return;
  }
}

void Checkpoint::check_embedding(const Tokenizer& tokenizer) const {
  const WeightReader reader(store(), weight_names());
  const std::string tensor = reader.name({"", "embedding"});
  if (!reader.has(tensor)) return;
  if (const auto tokens = tokens_without_rows(tokenizer, reader.rows(tensor)))
    throw ModelError(path_.string() + ": the tokenizer has " + std::to_string(*tokens) + " tokens, but tensor '" +
                     tensor + "' has " + std::to_string(reader.rows(tensor)) +
                     " rows; fetch or convert the checkpoint again");
}

std::string Checkpoint::class_name() const {
  const Value classes = is_gguf_ ? Value() : hyper_parameters_->find("architectures");
  if (classes.is_list() && !classes.as_list().empty() && classes.as_list()[0].is_string())
    return classes.as_list()[0].as_string();
  return architecture_.class_names.front();
}

std::string Checkpoint::name() const {
  const fs::path clean = fs::weakly_canonical(path_);
  return is_gguf_ ? clean.stem().string() : clean.filename().string();
}

TokenIds Checkpoint::eos() const {
  TokenIds ids;
  if (is_gguf_) {
    const auto& file = static_cast<const GgufFile&>(*store_);
    for (const char* key :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
      if (const auto id = file.get<std::int64_t>(key)) ids.push_back(*id);
    return ids;
  }
  if (const auto generation = generation_config(path_)) append_ids(generation->find("eos_token_id"), ids);
  if (ids.empty()) append_ids(hyper_parameters_->find("eos_token_id"), ids);
  return ids;
}

std::optional<std::int64_t> Checkpoint::decoder_start() const {
  if (architecture_.kind != ModelKind::encoder_decoder) return std::nullopt;
  TokenIds ids;
  const auto generation = generation_config(path_);
  for (const char* key : {"decoder_start_token_id", "bos_token_id"}) {
    if (generation) append_ids(generation->find(key), ids);
    append_ids(hyper_parameters_->find(key), ids);
  }
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

std::string Checkpoint::weights_format() const {
  std::map<std::string, std::size_t> bytes;
  for (const auto& tensor : store().names()) bytes[std::string(store().dtype(tensor))] += store().byte_size(tensor);
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(is_gguf_ ? "gguf" : "safetensors") + (most == bytes.end() ? "" : " " + most->first);
}

std::vector<std::string> Checkpoint::files() const {
  if (is_gguf_) return {path_.string()};
  std::vector<std::string> files;
  const auto add = [&files](const std::string& file) {
    if (fs::exists(file) && std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
  };
  for (const auto& tensor : store().names()) add(store().raw(tensor).file->path().string());
  for (const char* name :
       {"model.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "target_vocab.json",
        "vocab-src.json", "vocab-tgt.json", "merges.txt", "chat_template.jinja", "chat_template.json",
        "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm", "target.spm"})
    add((path_ / name).string());
  std::set<std::string> templates;  // in a fixed order
  if (const fs::path folder = path_ / "additional_chat_templates"; fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder)) templates.insert(entry.path().string());
  for (const std::string& file : templates) add(file);
  return files;
}

}  // namespace whence::transformer
