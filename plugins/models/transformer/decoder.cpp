#include "decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>

#include "finite.h"

namespace whence::transformer {

template <class T>
Decoder<T>::Decoder(DecoderConfig config, DecoderWeights weights, WeightPolicy policy)
    : Stack<T>(config, std::move(weights.stack), policy, Sight::causal),
      logit_scale_(config.logit_scale),
      logit_softcap_(config.logit_softcap),
      head_(std::move(weights.head), policy) {
  if (weights.project_out) project_out_.emplace(std::move(*weights.project_out), policy);
}

template <class T>
Tensor Decoder<T>::logits(const Tensor& states, PassTrace* trace, const BlockDropout& dropout) const {
  Tensor x = this->final_states(states, trace ? &trace->final_norm : nullptr, dropout);
  if (project_out_) x = project_out_->forward(x);
  Tensor result = head_.forward(x.contiguous());
  require_finite<T>(result, "head: logits");
  if (logit_scale_ != 1) result.mul_(logit_scale_);
  if (logit_softcap_ > 0) {
    result.div_(logit_softcap_).tanh_().mul_(logit_softcap_);
    if (trace) trace->logits = result.clone();  // whoever gets the logits may change them
  }
  return result;
}

template <class T>
Tensor Decoder<T>::through_logits(const Tensor& cotangents, const std::vector<std::int64_t>& read,
                                  const PassTrace& trace, bool frozen_norms) const {
  Tensor c = cotangents;
  if (logit_softcap_ > 0) {
    const Tensor share = trace.logits.index_select(0, at::tensor(read, at::kLong)) / logit_softcap_;
    c = c * (1 - share * share);
  }
  if (logit_scale_ != 1) c = c * logit_scale_;
  c = head_.pull_back(c.contiguous());
  if (project_out_) c = project_out_->pull_back(c);
  return this->through_final_norm(c, read, trace.final_norm, frozen_norms);
}

template class Decoder<float>;
template class Decoder<double>;

}  // namespace whence::transformer
