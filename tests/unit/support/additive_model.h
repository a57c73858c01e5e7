#pragma once

#include <ATen/ops/cumsum.h>

#include "support/fake_model.h"

namespace whence::testing {

/// A model whose logits are the sum of what each token of the prefix says: embeddings times a matrix. With tokens
/// removed to zero every logit is additive in them.
class AdditiveModel final : public FakeModel {
 public:
  AdditiveModel() : FakeModel(ModelKind::decoder_only, /*shares_prefixes=*/false) {
    at::Generator random = at::detail::createCPUGenerator(11);
    head = at::randn({kHidden, kVocabulary}, random);
  }

  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override {
    const Tensor rows =
        inputs.target_embeddings.defined() ? inputs.target_embeddings : embed(inputs.target.ids, Side::target);
    const Tensor logits = at::matmul(at::cumsum(rows, 1), head), &positions = request.positions;
    const Tensor at = positions.clamp_min(0).unsqueeze(-1).expand({positions.size(0), positions.size(1), kVocabulary});
    Forward result;
    result.logits = at::where((positions >= 0).unsqueeze(-1), logits.gather(1, at), 0.0);
    return result;
  }

  Tensor head;  ///< [D,V]
};

}  // namespace whence::testing
