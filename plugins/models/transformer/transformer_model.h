#pragma once

#include <memory>

#include "checkpoint.h"
#include "decoder.h"
#include "whence/checkpoint_report.h"
#include "whence/model.h"

namespace whence::transformer {

/// A decoder-only model of the transformer engine.
class TransformerModel : public Model {
 public:
  /// Reads all weights and the tokenizer. Throws ModelError.
  TransformerModel(const Checkpoint& checkpoint, const std::string& dtype);

  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  Generation generate(const Inputs& inputs, const GenerationConfig& config,
                      const GenerationProgress& progress) const override;
  Tensor embed(const Tensor& ids, Side side) const override;
  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override;
  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override;
  /// Offers CheckpointReport.
  const void* query(std::string_view capability) const override;

 private:
  Tensor input_embeddings(const Inputs& inputs, const std::vector<std::int64_t>& lengths) const;

  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Decoder> decoder_;
  CheckpointReport report_;
  ModelInfo info_;
};

}  // namespace whence::transformer
