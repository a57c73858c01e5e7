#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "whence/chat_template.h"
#include "whence/error.h"
#include "whence/export.h"
#include "whence/model.h"

namespace whence {

/// What a model takes of the tensors of its checkpoint, by name.
struct TensorUse {
  /// `Model::query` of it points to one.
  static constexpr std::string_view kCapability = "whence.tensor_use/1";

  std::vector<std::string> used;
  std::vector<std::string> unused;   ///< stored, but no part of the model
  std::vector<std::string> ignored;  ///< hold nothing to be learnt, such as rotary frequencies and attention masks
  std::vector<std::string> missing;  ///< needed, but not stored
};

/// What a checkpoint says of its computation that its model does not heed, each as "key: value".
struct UnreadSettings {
  /// `Model::query` of it points to one.
  static constexpr std::string_view kCapability = "whence.unread_settings/1";

  std::vector<std::string> settings;
};

/// The tensors that are stored as one type.
struct StoredTensors {
  std::string type;          ///< "F32", "BF16", "Q4_1"...
  std::int64_t tensors = 0;  ///< how many
  std::int64_t numbers = 0;  ///< in all of them
  std::int64_t bytes = 0;
};

/// A token with a part of its own.
struct SpecialToken {
  std::string role;  ///< "bos", "eos", "unknown" or "pad"
  std::string token;
  std::int64_t id = 0;
};

struct TokenizerReport {
  std::string kind;                         ///< "BPE", "Unigram"...
  std::string source;                       ///< files or keys that it is read from
  std::string pre_tokenizer;                ///< how texts are cut before; empty: they are not
  std::int64_t size = 0;                    ///< tokens, added ones included
  std::optional<std::int64_t> target_size;  ///< where the target side has a vocabulary of its own
  std::vector<SpecialToken> special;
};

/// Estimates, bytes.
struct CheckpointMemory {
  std::int64_t stored = 0;         ///< all tensors as they lie in the files
  std::int64_t unpacked = 0;       ///< matrices as plain numbers, ready for both directions
  std::int64_t packed = 0;         ///< matrices of one layer at a time instead, unpacked from the file when needed
  std::int64_t forward_row = 0;    ///< for each token of a pass
  std::int64_t traced_row = 0;     ///< kept of each token of a pass that is pulled back
  std::int64_t cotangent_row = 0;  ///< for each token and explained step that are pulled back at a time
};

struct CheckpointProblem {
  ExitStatus status = ExitStatus::model;  ///< of a program that fails of it
  std::string text;
};

/// What a checkpoint is and what is wrong with it. Parts that could not be found out are empty or 0.
struct CheckpointReport {
  struct Size {
    std::string name;  ///< "layers", "hidden", "heads"...
    std::int64_t value = 0;
  };

  std::string description;        ///< one line: path, format, number of tensors and their size
  std::string type_key;           ///< what names the architecture, e.g. "model_type"
  std::string type;               ///< how it does, e.g. "qwen2"
  std::string architecture;       ///< name in the architecture file
  std::string architecture_file;  ///< that is made for the checkpoint
  std::string class_name;         ///< as the reference ecosystem calls it
  std::optional<ModelKind> kind;
  std::vector<Size> sizes;
  std::int64_t parameters = 0;
  std::vector<StoredTensors> stored;  ///< by type, the most bytes first
  TensorUse tensors;
  std::optional<TokenizerReport> tokenizer;
  std::vector<ChatTemplateSource> chat_templates;
  CheckpointMemory memory;
  std::vector<std::string> unread;          ///< settings, "key: value", that nothing here reads
  std::vector<CheckpointProblem> problems;  ///< each keeps the checkpoint from being used
  std::vector<std::string> warnings;        ///< what does not
};

/// Optional power of a model loader: says what it makes of a checkpoint, the more so when that is damaged.
class WHENCE_API CheckpointExaminer {
 public:
  /// `ModelLoader::query` of it points to one.
  static constexpr std::string_view kCapability = "whence.checkpoint_examiner/1";

  CheckpointExaminer() = default;
  CheckpointExaminer(const CheckpointExaminer&) = delete;
  CheckpointExaminer& operator=(const CheckpointExaminer&) = delete;
  virtual ~CheckpointExaminer();

  /// Reads headers, configuration and tokenizer. What is wrong is a problem in the report, not thrown. [thread: any]
  virtual CheckpointReport examine(const ModelRequest& request) const = 0;
};

}  // namespace whence
