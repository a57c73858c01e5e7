#pragma once

#include <functional>

#include "attention.h"
#include "whence/forward.h"

namespace whence::transformer {

using AttentionVisitor = std::function<void(const AttentionGradient&)>;

/// Shows the weights of one attention and their cotangents for every step of `texts`; the other arguments are as
/// `attention_pull_back` takes them, with texts that begin at their segment's first position. Of what is shown,
/// `sequence` is the text of the layout, `step` that of `texts`, sides and layer those of `kind`.
template <class T>
void visit_attention_gradients(const AttentionShape& shape, const ScoreBias<T>* bias, const AttentionRules& rules,
                               const RowLayout& layout, std::size_t layer, const Tensor& rows,
                               const std::vector<CotangentSteps>& texts, bool read_only, const Tensor& mixed,
                               const AttentionGradient& kind, const AttentionVisitor& visit);

}  // namespace whence::transformer
