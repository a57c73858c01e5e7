#pragma once

#include "whence/model.h"
#include "whence/value_zeroing.h"

namespace whence::host {

/// A stand-in for a model that only counts: passes return zeros of the right shapes, work grows as the model's would,
/// and what the model says its passes take counts as held tensors. Ids, tokens and embeddings are the model's own.
/// [thread: one]
class CountingModel final : public Model, public ValueZeroing {
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
  Work work() const override { return work_; }
  /// Says that it only counts; offers what of the model's powers it can stand in for.
  const void* query(std::string_view capability) const override;

  void zero_values(const Inputs& inputs, const Request& request, const Visitor& visit) const override;

 private:
  const Model& model_;
  const PassBytes bytes_;
  mutable Work work_;
};

}  // namespace whence::host
