#pragma once

#include <string>
#include <vector>

#include "host/run.h"

namespace whence::host {

/// A mean over steps, and how many of them have a number.
struct StepMean {
  double mean = 0;  ///< NaN without steps
  std::int64_t steps = 0;
};

/// How far two attributions agree, step by step over the tokens that both have a finite number for.
struct Agreement {
  std::string first, second;
  StepMean spearman, kendall, pearson;  ///< of steps with two tokens or more where neither is constant
  StepMean cosine;                      ///< of steps where neither is zero
  /// Share of the top tokens that are the same. Tokens that are equal at the last place share what places are left.
  StepMean overlap;
};

struct AgreementOptions {
  std::int64_t top = 5;    ///< tokens whose overlap is asked for; where a step sees fewer, those
  bool magnitude = false;  ///< compare absolute values
};

/// Every pair of attributions, in order. They have one number for each token of the same steps.
std::vector<Agreement> agreements(const std::vector<NamedOutput>& results, const AgreementOptions& options = {});

}  // namespace whence::host
