#pragma once

#include <string>

#include "whence/model.h"

namespace whence::parity {

/// The model of a case, loaded once.
const Model& model(const std::string& name);

}  // namespace whence::parity
