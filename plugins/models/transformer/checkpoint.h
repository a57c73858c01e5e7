#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "architecture.h"
#include "hyper_parameters.h"
#include "tensor_store.h"
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
  ~Checkpoint();

  const std::filesystem::path& path() const { return path_; }
  const Architecture& architecture() const { return architecture_; }
  const HyperParameters& hyper_parameters() const { return *hyper_parameters_; }
  const WeightNames& weight_names() const;
  /// Opens the weights on the first call.
  const TensorStore& store() const;
  /// Throws ModelError when it is missing or damaged, or has tokens without a row of the embedding.
  std::unique_ptr<Tokenizer> tokenizer() const;
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

  std::filesystem::path path_;
  std::optional<HyperParameters> hyper_parameters_;
  Architecture architecture_;
  mutable std::unique_ptr<TensorStore> store_;
  bool is_gguf_ = false;
};

/// The architecture made for the checkpoint at `request.path`, or nothing when no file is made for it. Throws
/// ModelError when there is no readable checkpoint.
std::optional<Architecture> find_architecture(const ModelRequest& request);

}  // namespace whence::transformer
