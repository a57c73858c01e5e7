#pragma once

#include <string_view>
#include <vector>

#include "stack_config.h"
#include "whence/forward.h"

namespace whence::transformer {

/// Where numbers are dropped.
enum class DropoutSite {
  embedding,
  attention,
  cross_attention,
  attention_branch,
  cross_branch,
  mlp_branch,
  inner,
  output
};

/// Which numbers of one pass through a stack are dropped: each with the probability of its place, in which case it
/// becomes zero; those that stay are scaled up, so that their expectation is that without dropout (Srivastava et al.
/// 2014, Dropout). A mask depends on the seed, the sample, the text's name and its own place alone. [thread: any]
class DropoutMasks {
 public:
  /// `request` outlives the masks; `stack` names it.
  DropoutMasks(const DropoutConfig& config, const Dropout& request, std::string_view stack)
      : config_(config), request_(request), stack_(stack) {}

  bool drops(DropoutSite site) const { return probability(site) > 0; }
  /// [count] what the numbers of one position of a text are multiplied by; `layer` and `head` only tell places apart.
  template <class T>
  std::vector<T> factors(DropoutSite site, std::size_t layer, std::int64_t text, std::int64_t position,
                         std::int64_t count, std::int64_t head = 0) const;

 private:
  double probability(DropoutSite site) const;

  const DropoutConfig& config_;
  const Dropout& request_;
  std::string_view stack_;
};

}  // namespace whence::transformer
