#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"
#include "whence/forward.h"
#include "whence/generation.h"
#include "whence/tokenizer.h"
#include "whence/value.h"

namespace whence {

enum class ModelKind { decoder_only, encoder_decoder };

/// Bytes that passes take, for whoever decides how much one of them holds.
struct PassBytes {
  std::int64_t forward_row = 0;          ///< working memory for each row of a pass without a trace
  std::int64_t traced_row = 0;           ///< what a trace keeps of each row
  std::int64_t prefix_row = 0;           ///< what `keep_prefix` keeps of each row; 0: passes cannot share rows
  std::int64_t cotangent_row = 0;        ///< working memory for each row and step that a pull_back carries at a time
  std::int64_t most_cotangent_rows = 0;  ///< as many as it carries at a time; 0: all
  std::int64_t zeroed_row = 0;  ///< working memory for each row without a value that ValueZeroing carries at a time
  std::int64_t most_zeroed_rows = 0;  ///< as many as it carries at a time; 0: all
  std::int64_t fixed = 0;             ///< whatever the pass holds, e.g. weights unpacked for one layer
};

/// Work that a model has done since it was loaded. Rows are tokens of texts, padding not counted.
struct Work {
  std::int64_t forward_passes = 0, backward_passes = 0;
  /// Rows that went through the blocks. A text has those from its first changed row to the last asked position, or to
  /// its end when captures or its prefix are kept, and those of its source unless it shares that; a pass without rows
  /// of a target is none.
  std::int64_t forward_rows = 0;
  std::int64_t head_rows = 0;  ///< asked positions, whose logits were computed
  /// Rows from the first changed one to that which a step is read at, and those of the source when gradients or
  /// attentions are wanted there, summed over the steps.
  std::int64_t backward_rows = 0;
};

/// What was done between two readings.
inline Work operator-(const Work& after, const Work& before) {
  return {.forward_passes = after.forward_passes - before.forward_passes,
          .backward_passes = after.backward_passes - before.backward_passes,
          .forward_rows = after.forward_rows - before.forward_rows,
          .head_rows = after.head_rows - before.head_rows,
          .backward_rows = after.backward_rows - before.backward_rows};
}

/// What users of a checkpoint call its modules, with dots between; several names where file formats differ.
struct ModuleNames {
  std::vector<std::string> embeddings;      ///< e.g. "model.embed_tokens"
  std::vector<std::string> decoder_blocks;  ///< e.g. "model.layers", whose children are the blocks by number
  std::vector<std::string> encoder_blocks;
};

/// What is known about a loaded checkpoint.
struct ModelInfo {
  ModelKind kind = ModelKind::decoder_only;
  std::string name;          ///< base name of the checkpoint
  std::string architecture;  ///< name of the architecture file that built it
  std::string class_name;    ///< as the reference ecosystem calls it, e.g. "LlamaForCausalLM"
  std::int64_t layers = 0, heads = 0, hidden = 0, vocabulary = 0;
  std::int64_t encoder_layers = 0;  ///< 0 without an encoder
  std::int64_t embedding = 0;       ///< width of the embeddings: `hidden`, unless they are projected
  std::int64_t max_positions = 0;   ///< longest text the checkpoint was made for, tokens
  std::int64_t parameters = 0;
  std::vector<std::string> activations;  ///< of the feed-forward networks: "relu", "silu", "gelu"...
  bool gated = false;                    ///< feed-forward networks have gates: activation(gate x) * up x
  ModuleNames modules;
  std::string dtype;                          ///< of the computation, e.g. "float32"
  std::string weights_format;                 ///< e.g. "gguf Q4_1", "safetensors F32"
  std::optional<std::int64_t> decoder_start;  ///< id that the target of an encoder-decoder begins with
  TokenIds eos;                               ///< ids that end a generated text
  GenerationConfig generation;                ///< what else the checkpoint says of generating
  PassBytes pass_bytes;                       ///< estimates
  bool masks_attention = false;               ///< heeds positions that are to be unseen (PaddedIds)
  bool rows_depend_on_length = false;         ///< texts of other lengths share no rows, even if they begin alike
  std::int64_t weight_bytes = 0;              ///< of weights held in memory of the process
  std::int64_t mapped_bytes = 0;              ///< of weights read from their mapped file whenever they are used
  std::vector<std::string> files;             ///< every file read, for checksums; weights first
};

/// One loaded checkpoint. Immutable after construction; every tensor it returns is owned by the caller.
class WHENCE_API Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model();

  /// The same object every time. [thread: any]
  virtual const ModelInfo& info() const = 0;
  /// Lives as long as the model. [thread: any]
  virtual const Tokenizer& tokenizer() const = 0;

  /// Continues every sequence of `inputs.target` (right-padded prompts), with options as `resolved_generation` gives
  /// them; none depends on the others. Throws ConfigError for options, see there. [grad: off] [thread: any]
  virtual Generation generate(const Inputs& inputs, const GenerationConfig& config,
                              const GenerationProgress& progress = {}) const = 0;

  /// Input embedding rows, times the model's embedding scale: [..] int64 -> [..,D] float32. [grad: off] [thread: any]
  virtual Tensor embed(const Tensor& ids, Side side) const = 0;

  /// One teacher-forced pass. A capture that the model cannot make is an error, never missing.
  /// [shape: see Forward] [grad: off] [thread: any]
  virtual Forward forward(const Inputs& inputs, const ForwardRequest& request) const = 0;

  /// Carries the cotangents of all steps to the input embeddings of a traced forward. A trace may be pulled back more
  /// than once. Throws UnknownName for a backward rule that the model doesn't know, ConfigError for one that had
  /// nothing to act on.
  /// [shape: see Gradients] [grad: off] [thread: one per trace]
  virtual Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                              const PullBackRequest& request) const = 0;

  /// Passes and rows so far, counted where they are computed. [thread: any]
  virtual Work work() const;

  /// Optional powers, looked up by "name/revision" so that this interface need not grow. Null: not offered.
  /// [thread: any]
  virtual const void* query(std::string_view capability) const;
};

/// Where a checkpoint lies and how it is to be loaded.
struct ModelRequest {
  std::string path;                  ///< a directory, or a single file
  std::string dtype = "float32";     ///< also "bfloat16", and "mixed": float32 forward, bfloat16 backward products
  std::string weights = "auto";      ///< "unpacked", "packed" (as stored), or what fits: "auto"
  std::int64_t memory_bytes = 0;     ///< budget that weights and passes share; 0: a share of what is free
  std::vector<Value> architectures;  ///< every architecture file found by the host, parsed
};

/// Makes models of one plugin. Immutable after construction.
class WHENCE_API ModelLoader {
 public:
  ModelLoader() = default;
  ModelLoader(const ModelLoader&) = delete;
  ModelLoader& operator=(const ModelLoader&) = delete;
  virtual ~ModelLoader();

  /// True when this plugin is made for the checkpoint; cheap (reads headers). Throws ModelError when it is damaged.
  /// [thread: any]
  virtual bool recognises(const ModelRequest& request) const = 0;
  /// Reads the whole checkpoint; never null. Throws ModelError. [grad: off] [thread: any]
  virtual std::unique_ptr<Model> load(const ModelRequest& request) const = 0;

  /// Optional powers, looked up by "name/revision". Null: not offered. [thread: any]
  virtual const void* query(std::string_view capability) const;
};

}  // namespace whence
