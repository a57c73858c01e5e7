#pragma once

#include <vector>

#include "decoder_pull_back.h"
#include "whence/forward.h"

namespace whence::transformer {

/// What rules mean for a decoder, with `reference` as the pass that "deeplift" starts from. Throws UnknownName for an
/// operation or a rule that the engine doesn't know; ConfigError for two rules of one operation, a factor that is not
/// finite, and a rule that would act on nothing: "deeplift" without a reference, or a reference without "deeplift".
DecoderRules read_rules(const std::vector<BackwardRule>& rules, const PassTrace* reference);

}  // namespace whence::transformer
