#pragma once

#include "block_weights.h"
#include "stack_config.h"
#include "whence/model.h"

namespace whence::transformer {

/// How the weights of a checkpoint are to be held: by the request's `dtype` and `weights`, where "auto" keeps them
/// unpacked when they take no more than half of the memory budget. Throws ModelError for names that are not known.
WeightPolicy choose_weight_policy(const ModelRequest& request, const TransformerConfig& config);

}  // namespace whence::transformer
