#include "whence/random_coalition.h"

namespace whence {

Coalition random_coalition(RandomStream random, std::int64_t players, double keep) {
  const Tensor drawn = random.uniform({players});
  Coalition coalition;
  for (std::int64_t i = 0; i < players; ++i) coalition.push_back(drawn.const_data_ptr<double>()[i] < keep);
  return coalition;
}

}  // namespace whence
