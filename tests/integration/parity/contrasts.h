#pragma once

#include <vector>

#include "case_data.h"
#include "host/attribute.h"

namespace whence::parity {

/// Gives the texts of a case the contrast that it names, if any, aligned as the reference does without alignments: from
/// the right, one to one.
void add_contrasts(const Case& one, const Model& model, std::vector<host::PreparedText>& texts);

}  // namespace whence::parity
