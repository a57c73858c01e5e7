#pragma once

#include <atomic>
#include <memory>

#include "checkpoint.h"
#include "decoder.h"
#include "decomposition_pass.h"
#include "whence/backward_rule_check.h"
#include "whence/block_decomposition.h"
#include "whence/checkpoint_report.h"
#include "whence/final_states.h"
#include "whence/model.h"
#include "whence/value_zeroing.h"

namespace whence::transformer {

/// A model of the transformer engine: a decoder, with or without an encoder that reads a source.
class TransformerModel : public Model,
                         public ValueZeroing,
                         public BlockDecomposition,
                         public FinalStates,
                         public BackwardRuleCheck {
 public:
  /// Reads the tokenizer and the small weights; matrices are unpacked when they are first used. Throws ModelError.
  TransformerModel(const Checkpoint& checkpoint, const ModelRequest& request);

  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  Generation generate(const Inputs& inputs, const GenerationConfig& config,
                      const GenerationProgress& progress) const override;
  Tensor embed(const Tensor& ids, Side side) const override;
  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override;
  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override;
  Tensor final_states(const Tensor& states) const override;
  Gradients pull_back_states(const Forward& forward, const Tensor& cotangents, std::int64_t first_step,
                             const PullBackRequest& request) const override;
  Extent extent(Attention attention) const override;
  void zero_values(const Inputs& inputs, const ValueZeroing::Request& request,
                   const ValueZeroing::Visitor& visit) const override;
  void decompose(const Inputs& inputs, const BlockDecomposition::Request& request,
                 const BlockDecomposition::Visitor& visit) const override;
  StreamDirections directions(const Inputs& inputs, const Tensor& positions,
                              const std::function<Tensor(const Tensor& logits)>& cotangents) const override;
  void check_rules(const std::vector<BackwardRule>& rules) const override;
  Work work() const override;
  /// Offers TensorUse, UnreadSettings, BlockDecomposition, BackwardRuleCheck, FinalStates, ValueZeroing and, where the
  /// checkpoint has one, ChatTemplate.
  const void* query(std::string_view capability) const override;

 private:
  /// The encoder's, if there is one, and the decoder's.
  std::vector<const StackConfig*> stacks() const;
  /// From cotangents [B,T',V] of logits or, `of_states`, [B,T',D] of the states behind the final norm.
  Gradients carry(const Forward& forward, const Cotangents& given, const PullBackRequest& request,
                  bool of_states) const;
  /// Checked lengths of the target texts; refuses inputs for another kind of model.
  std::vector<std::int64_t> text_lengths(const Inputs& inputs) const;
  /// Runs a stack over the rows of a pass: from embeddings, or from the states that are given.
  Tensor run_stack(const Inputs& inputs, Side side, const StackPass& pass) const;
  /// Embeddings [R,E] of the rows of a layout of one side.
  Tensor input_rows(const Inputs& inputs, Side side, const RowLayout& layout,
                    const std::vector<std::int64_t>& lengths) const;
  /// Runs the encoder: keys and values of the sources for every layer of the decoder. Keeps what the backward needs
  /// when `traced`. `attentions` and `states` may be null.
  void encode(const Inputs& inputs, const ForwardRequest& request, std::vector<Tensor>* attentions, StackStates* states,
              SourceTrace& source) const;
  /// Those that every layer of the decoder makes of the final states [R',D'] of the sources.
  KeyValues source_key_values(const Tensor& states, const RowLayout& layout) const;
  /// Throws ConfigError for a place that the model doesn't have.
  void check_site(const LayerSite& site) const;
  void check_states(const Inputs& inputs, const ForwardRequest& request) const;
  /// Whether training drops anything.
  bool drops() const;
  void check_dropout(const ForwardRequest& request, std::int64_t batch) const;
  const Stack<float>& stack(Side side) const;
  /// Calls body(text, pass) for every text of the batch that has a row, one after another; the blocks of its source, if
  /// there is one, are shown to `visit` before.
  void for_texts(const Inputs& inputs, const std::vector<std::int64_t>& ends, bool weights_only,
                 const BlockDecomposition::Visitor& visit,
                 const std::function<void(std::int64_t text, const TextPass& pass)>& body) const;

  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> chat_template_;
  std::unique_ptr<Stack<float>> encoder_;  // null for decoder-only models
  std::unique_ptr<Decoder<float>> decoder_;
  TensorUse tensor_use_;
  UnreadSettings unread_settings_;
  std::string no_generation_;  ///< why the model cannot generate as its checkpoint says, or empty
  ModelInfo info_;
  struct Counters {
    std::atomic<std::int64_t> forward_passes{0}, backward_passes{0}, forward_rows{0}, head_rows{0}, backward_rows{0};
  };
  mutable Counters counters_;
};

}  // namespace whence::transformer
