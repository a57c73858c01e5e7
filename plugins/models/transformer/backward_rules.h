#pragma once

#include <vector>

#include "decoder_pull_back.h"
#include "whence/forward.h"

namespace whence::transformer {

/// Throws UnknownName for names that are none, and ConfigError for a rule that is not alone for its operation, or that
/// nothing in these stacks can follow.
void check_rules(const std::vector<BackwardRule>& rules, const std::vector<const StackConfig*>& stacks);
/// What rules mean for a pass through `stacks`, which is a decoder, behind its encoder if it has one, with `reference`
/// as the pass that "deeplift" starts from. Throws UnknownName for an operation or a rule that the engine doesn't know;
/// ConfigError for two rules of one operation, a factor that is not finite, a temperature that is not above 0,
/// and a rule that cannot act: "deeplift" without a reference or where tokens choose among experts, a reference without
/// "deeplift", and a rule of gates where the feed-forward networks have none.
DecoderRules read_rules(const std::vector<BackwardRule>& rules, const std::vector<const StackConfig*>& stacks,
                        const PassTrace* reference);

/// Whether feed-forward networks of some layer have gates.
bool has_gates(const std::vector<const StackConfig*>& stacks);

}  // namespace whence::transformer
