#pragma once

#include <map>
#include <string>
#include <vector>

#include "whence/tensor.h"

namespace whence {

/// What a method returns for a problem. Rows are attributed tokens, columns steps; the host cuts padding, and blanks
/// (NaN) what a step cannot see.
struct Attribution {
  Tensor source;  ///< [B,S,T,...] or undefined
  Tensor target;  ///< [B,L,T,...] or undefined
  /// Names of the dims after T: {} for one score per token, {"hidden"}, {"layer"}, {"layer","head"}. Decides the
  /// default aggregation.
  std::vector<std::string> granularity;
  /// More numbers per step, e.g. convergence deltas: name -> [B,T].
  std::map<std::string, Tensor> step_scores;
  /// Square or rectangular maps beside the attribution, e.g. "encoder_self_attentions": name -> [B,rows,columns,...].
  std::map<std::string, Tensor> sequence_scores;
  /// What a reader of the scores should know, a clause each; results keep every note once.
  std::vector<std::string> notes;
};

}  // namespace whence
