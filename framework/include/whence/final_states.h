#pragma once

#include <string_view>

#include "whence/export.h"
#include "whence/forward.h"

namespace whence {

/// Optional power of a model: its states behind the final norm of the decoder, as something to differentiate.
class WHENCE_API FinalStates {
 public:
  /// What `Model::query` returns for it points to a FinalStates.
  static constexpr std::string_view kCapability = "final_states/1";

  virtual ~FinalStates();
  /// Of what comes out of the last block: [n,D] -> [n,D]. [grad: off] [thread: any]
  virtual Tensor final_states(const Tensor& states) const = 0;
  /// As Model::pull_back, from cotangents [B,T',D] of these states in place of the logits, of the steps [first_step,
  /// first_step + T') of the forward. [grad: off] [thread: one per trace]
  virtual Gradients pull_back_states(const Forward& forward, const Tensor& cotangents, std::int64_t first_step,
                                     const PullBackRequest& request) const = 0;
};

}  // namespace whence
