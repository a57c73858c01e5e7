#pragma once

#include "whence/block_decomposition.h"
#include "whence/final_states.h"
#include "whence/model.h"
#include "whence/value_zeroing.h"

namespace whence::host {

/// A stand-in for a model that only counts: passes return zeros of the right shapes, work grows as the model's would,
/// and what the model says its passes take counts as held tensors. Ids, tokens and embeddings are the model's own.
/// [thread: one]
class CountingModel final : public Model, public ValueZeroing, public BlockDecomposition, public FinalStates {
 public:
  /// `model` outlives it.
  explicit CountingModel(const Model& model);

  const ModelInfo& info() const override { return model_.info(); }
  const Tokenizer& tokenizer() const override { return model_.tokenizer(); }
  Generation generate(const Inputs& inputs, const GenerationConfig& config,
                      const GenerationProgress& progress) const override {
    return model_.generate(inputs, config, progress);
  }
  Tensor embed(const Tensor& ids, Side side) const override { return model_.embed(ids, side); }
  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override;
  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override;
  Tensor final_states(const Tensor& states) const override { return states; }
  Gradients pull_back_states(const Forward& forward, const Tensor& cotangents, std::int64_t first_step,
                             const PullBackRequest& request) const override {
    return pull_back(forward, {cotangents, first_step}, request);
  }
  Work work() const override { return work_; }
  /// Says that it only counts; offers what of the model's powers it can stand in for.
  const void* query(std::string_view capability) const override;

  Extent extent(Attention attention) const override { return zeroing_of_model().extent(attention); }
  void zero_values(const Inputs& inputs, const ValueZeroing::Request& request,
                   const ValueZeroing::Visitor& visit) const override;
  void decompose(const Inputs& inputs, const BlockDecomposition::Request& request,
                 const BlockDecomposition::Visitor& visit) const override;
  StreamDirections directions(const Inputs& inputs, const Tensor& positions,
                              const std::function<Tensor(const Tensor& logits)>& cotangents) const override;

 private:
  const ValueZeroing& zeroing_of_model() const {
    return *static_cast<const ValueZeroing*>(model_.query(ValueZeroing::kCapability));
  }
  /// Counts a pass over each text up to the last of its positions; bytes that the longest takes.
  std::int64_t count_texts(const Inputs& inputs, const Tensor& positions) const;

  const Model& model_;
  const PassBytes bytes_;
  mutable Work work_;
};

}  // namespace whence::host
