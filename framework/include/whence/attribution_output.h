#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "whence/sequence.h"
#include "whence/tensor.h"
#include "whence/value.h"

namespace whence {

/// The attribution of one sequence as results hold it: no padding, NaN where a token cannot have had influence.
struct SequenceAttribution {
  std::vector<Token> source;  ///< decoder-only: the prompt
  std::vector<Token> target;
  std::vector<Label> source_labels, target_labels;
  Span steps;                  ///< explained positions in `target`; T = steps.size()
  Tensor source_attributions;  ///< [S,T,...] or undefined
  Tensor target_attributions;  ///< [min(L, steps.end),T,...] or undefined
  /// Names of the dims after T, as in Attribution.
  std::vector<std::string> granularity;
  std::map<std::string, Tensor> step_scores;  ///< name -> [T]
  /// How a step score merges when steps are merged: name -> reduction; absent: absmax.
  std::map<std::string, std::string> step_score_merges;
  std::map<std::string, Tensor> sequence_scores;  ///< name -> [rows,columns,...]
};

/// A finished attribution: what is saved, aggregated, drawn and compared.
struct AttributionOutput {
  std::vector<SequenceAttribution> sequences;
  /// Everything needed to run it again; a mapping with the keys of docs/results.md.
  Value::Map info;
};

}  // namespace whence
