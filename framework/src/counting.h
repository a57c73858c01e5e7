#pragma once

#include <string_view>

#include "whence/model.h"

namespace whence {

/// Power of a stand-in for a model that counts work without doing it, so that what it returns says nothing.
inline constexpr std::string_view kCountsOnly = "counts_only/1";

inline bool counts_only(const Model& model) { return model.query(kCountsOnly) != nullptr; }

}  // namespace whence
