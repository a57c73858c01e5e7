#pragma once

#include "whence/checkpoint_report.h"

namespace whence::transformer {

/// What this engine makes of a checkpoint and everything that is wrong with it, see CheckpointExaminer. Values of the
/// configuration that cannot be are passed over to find those behind them.
CheckpointReport examine_checkpoint(const ModelRequest& request);

}  // namespace whence::transformer
