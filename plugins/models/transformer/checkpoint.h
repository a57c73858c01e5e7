#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "architecture.h"
#include "hyper_parameters.h"
#include "problems.h"
#include "tensor_store.h"
#include "tokenizer_files.h"
#include "whence/chat_template.h"
#include "whence/model.h"
#include "whence/tokenizer.h"

namespace whence::transformer {

/// A checkpoint on disk whose architecture is known: a Hugging Face directory or a GGUF file.
class Checkpoint {
 public:
  /// Opens `request.path` and looks for its architecture among `request.architectures`. Reads headers only. Throws
  /// ModelError when there is no checkpoint, or when no architecture file is made for it (the known ones are listed).
  explicit Checkpoint(const ModelRequest& request);
  /// The same for a checkpoint that is perhaps not whole: what is wrong is added to `problems`, and what it concerns is
  /// missing here. Throws when there is nothing to look at.
  Checkpoint(const ModelRequest& request, std::vector<CheckpointProblem>* problems);
  ~Checkpoint();

  const std::filesystem::path& path() const { return path_; }
  bool has_architecture() const { return !architecture_.name.empty(); }
  const Architecture& architecture() const { return architecture_; }
  bool has_hyper_parameters() const { return hyper_parameters_.has_value(); }
  const HyperParameters& hyper_parameters() const { return *hyper_parameters_; }
  const WeightNames& weight_names() const;
  /// Opens the weights on the first call.
  const TensorStore& store() const;
  /// What names the architecture: a key of the checkpoint and its value.
  const std::string& type_key() const { return type_key_; }
  const std::string& type() const { return type_; }
  bool is_gguf() const { return is_gguf_; }
  /// Throws ModelError when it is missing or damaged, or has tokens without a row of the embedding.
  std::unique_ptr<Tokenizer> tokenizer() const;
  /// The two halves of `tokenizer`: the second throws ModelError for tokens without a row.
  std::unique_ptr<Tokenizer> unchecked_tokenizer() const;
  void check_vocabulary(const Tokenizer& tokenizer) const;
  /// What the tokenizer is made from. Throws ModelError when that is missing or damaged.
  TokenizerFiles tokenizer_files() const;
  /// Its chat templates, perhaps none. Throws ModelError when they are damaged.
  std::unique_ptr<ChatTemplate> chat_template() const;

  std::string class_name() const;
  std::string name() const;
  /// Ids that end a generated text.
  TokenIds eos() const;
  /// Id that the target of an encoder-decoder begins with.
  std::optional<std::int64_t> decoder_start() const;
  /// "safetensors F32", "gguf Q4_1": the type that most bytes have.
  std::string weights_format() const;
  /// Every file that is read, weights first.
  std::vector<std::string> files() const;

 private:
  void check_size(const Tokenizer& tokenizer, const std::vector<std::string>& keys) const;
  void check_embedding(const Tokenizer& tokenizer) const;

  std::filesystem::path path_;
  std::optional<HyperParameters> hyper_parameters_;
  std::string type_key_, type_;
  Architecture architecture_;
  mutable std::unique_ptr<TensorStore> store_;
  bool is_gguf_ = false;
};

/// The architecture made for the checkpoint at `request.path`, or nothing when no file is made for it. Throws
/// ModelError when there is no readable checkpoint.
std::optional<Architecture> find_architecture(const ModelRequest& request);

}  // namespace whence::transformer
