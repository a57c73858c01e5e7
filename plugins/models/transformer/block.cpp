#include "block.h"

namespace whence::transformer {

Tensor Block::forward(const Tensor& x, AttentionContext context, BlockTrace* trace) const {
  if (!trace) {
    const Tensor middle = x + attention.forward(attention_norm.forward(x), context);
    return middle + mlp.forward(mlp_norm.forward(middle));
  }
  context.trace = &trace->attention;
  const Tensor middle = x + attention.forward(attention_norm.forward(x, &trace->attention_norm), context);
  return middle + mlp.forward(mlp_norm.forward(middle, &trace->mlp_norm), &trace->mlp);
}

}  // namespace whence::transformer
