#include "dropout.h"

#include <string>

#include "whence/random.h"

namespace whence::transformer {

double DropoutMasks::probability(DropoutSite site) const {
  switch (site) {
    case DropoutSite::embedding:
      return config_.embedding;
    case DropoutSite::attention:
    case DropoutSite::cross_attention:
      return config_.attention;
    case DropoutSite::inner:
      return config_.inner;
    case DropoutSite::output:
      return config_.output;
    default:
      return config_.branch;
  }
}

template <class T>
std::vector<T> DropoutMasks::factors(DropoutSite site, std::size_t layer, std::int64_t text, std::int64_t position,
                                     std::int64_t count, std::int64_t head) const {
  const double dropped = probability(site);
  std::vector<T> result(static_cast<std::size_t>(count), T(1));
  if (dropped == 0) return result;
  std::string place("dropout ");
  place += stack_;
  for (const std::int64_t number : {static_cast<std::int64_t>(site), static_cast<std::int64_t>(layer), position, head})
    place += ' ' + std::to_string(number);
  RandomStream random({.seed = request_.seed,
                       .sequence = request_.sequence_ids[static_cast<std::size_t>(text)],
                       .purpose = place,
                       .sample = static_cast<std::uint64_t>(request_.sample)});
  const Tensor numbers = random.uniform({count});
  const double* number = numbers.const_data_ptr<double>();
  for (std::int64_t i = 0; i < count; ++i)
    result[static_cast<std::size_t>(i)] = static_cast<T>(number[i] < dropped ? 0 : 1 / (1 - dropped));
  return result;
}

template std::vector<float> DropoutMasks::factors<float>(DropoutSite, std::size_t, std::int64_t, std::int64_t,
                                                         std::int64_t, std::int64_t) const;
template std::vector<double> DropoutMasks::factors<double>(DropoutSite, std::size_t, std::int64_t, std::int64_t,
                                                           std::int64_t, std::int64_t) const;

}  // namespace whence::transformer
