#pragma once

#include <cstdint>
#include <map>

#include "whence/model.h"

/// A model whose embeddings are off by a little: every number of every token of the vocabulary by its own draw from
/// (-radius, radius), but for special tokens, so that baselines stay where they are. What reads a model without going
/// by its embeddings is not offered. [thread: one]
class NoisyModel final : public whence::Model {
 public:
  /// `model` outlives it. Draws depend on the seed, the sample and the token alone.
  NoisyModel(const whence::Model& model, double radius, std::uint64_t seed, std::uint64_t sample);

  const whence::ModelInfo& info() const override { return model_.info(); }
  const whence::Tokenizer& tokenizer() const override { return model_.tokenizer(); }
  whence::Generation generate(const whence::Inputs& inputs, const whence::GenerationConfig& config,
                              const whence::GenerationProgress& progress) const override {
    return model_.generate(inputs, config, progress);
  }
  whence::Tensor embed(const whence::Tensor& ids, whence::Side side) const override;
  whence::Forward forward(const whence::Inputs& inputs, const whence::ForwardRequest& request) const override;
  whence::Gradients pull_back(const whence::Forward& forward, const whence::Cotangents& cotangents,
                              const whence::PullBackRequest& request) const override {
    return model_.pull_back(forward, cotangents, request);
  }
  whence::Work work() const override { return model_.work(); }

 private:
  const whence::Tensor& noise(std::int64_t id, whence::Side side) const;

  const whence::Model& model_;
  double radius_;
  std::uint64_t seed_, sample_;
  mutable std::map<std::pair<whence::Side, std::int64_t>, whence::Tensor> noise_;  ///< [D] of tokens met so far
};
