#pragma once

#include <vector>

#include "host/context_output.h"
#include "whence/context_attribution.h"
#include "whence/token_text.h"

namespace whence::host {

/// What the tokens of a context are cited by: the units that are asked for, else the documents, else none. `documents`
/// are their bytes in the text.
std::vector<ContextUnit> units_of_context(const ContextTask& task, const TokenText& context,
                                          const std::vector<Span>& documents);

/// A score for each unit, from those of its tokens; 0 for one without tokens.
std::vector<float> unit_scores(const std::vector<ContextUnit>& units, const std::vector<float>& tokens, UnitScore way);

}  // namespace whence::host
