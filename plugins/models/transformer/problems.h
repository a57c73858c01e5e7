#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "whence/checkpoint_report.h"
#include "whence/error.h"

namespace whence::transformer {

/// Does a step of several that don't depend on each other. Where there are `problems`, what is wrong is added there,
/// once, else thrown. Whether all was well.
template <class Step>
bool attempt(std::vector<CheckpointProblem>* problems, const Step& step) {
  try {
    step();
    return true;
  } catch (const Error& error) {
    if (!problems) throw;
    const std::string text = error.what();
    if (std::ranges::find(*problems, text, &CheckpointProblem::text) == problems->end())
      problems->push_back({error.status(), text});
    return false;
  }
}

}  // namespace whence::transformer
