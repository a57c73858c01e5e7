#include "host/agreement.h"

#include <algorithm>
#include <cmath>

#include "whence/rank_correlation.h"

namespace whence::host {
namespace {

using Numbers = std::vector<double>;

/// All rows of a text at one step, those of the source first.
Numbers rows_at(const SequenceAttribution& sequence, std::int64_t step, bool magnitude) {
  Numbers numbers;
  for (const Tensor& rows : {sequence.source_attributions, sequence.target_attributions}) {
    if (!rows.defined()) continue;
    const Tensor own = rows.select(1, step).to(at::kDouble).contiguous();
    numbers.insert(numbers.end(), own.const_data_ptr<double>(), own.const_data_ptr<double>() + own.numel());
  }
  if (magnitude)
    for (double& number : numbers) number = std::abs(number);
  return numbers;
}

double cosine(const Numbers& x, const Numbers& y) {
  double products = 0, of_x = 0, of_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    products += x[i] * y[i];
    of_x += x[i] * x[i];
    of_y += y[i] * y[i];
  }
  return of_x > 0 && of_y > 0 ? products / std::sqrt(of_x * of_y) : NAN;
}

/// How much of each token is among the top `count`: all, nothing, or of equal ones at the last place a share.
Numbers membership(const Numbers& x, std::int64_t count) {
  Numbers sorted = x;
  std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end(), std::greater<>());
  const double last = sorted[static_cast<std::size_t>(count - 1)];
  const auto above = std::count_if(x.begin(), x.end(), [&](double number) { return number > last; });
  const double share = static_cast<double>(count - above) / static_cast<double>(std::count(x.begin(), x.end(), last));
  Numbers result;
  for (const double number : x) result.push_back(number > last ? 1 : number == last ? share : 0);
  return result;
}

double overlap(const Numbers& x, const Numbers& y, std::int64_t top) {
  const std::int64_t count = std::min(top, std::ssize(x));
  if (count < 1) return NAN;
  const Numbers of_x = membership(x, count), of_y = membership(y, count);
  double shared = 0;
  for (std::size_t i = 0; i < x.size(); ++i) shared += std::min(of_x[i], of_y[i]);
  return shared / static_cast<double>(count);
}

void add(StepMean& mean, double number) {
  if (!std::isfinite(number)) return;
  mean.mean += number;
  ++mean.steps;
}

void add_step(Agreement& agreement, const Numbers& first, const Numbers& second, std::int64_t top) {
  Numbers x, y;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (std::isfinite(first[i]) && std::isfinite(second[i])) {
      x.push_back(first[i]);
      y.push_back(second[i]);
    }
  add(agreement.spearman, spearman(x, y));
  add(agreement.kendall, kendall_tau_b(x, y));
  add(agreement.pearson, pearson(x, y));
  add(agreement.cosine, cosine(x, y));
  add(agreement.overlap, overlap(x, y, top));
}

}  // namespace

std::vector<Agreement> agreements(const std::vector<NamedOutput>& results, const AgreementOptions& options) {
  std::vector<Agreement> pairs;
  for (std::size_t i = 0; i < results.size(); ++i)
    for (std::size_t j = i + 1; j < results.size(); ++j) {
      Agreement agreement{.first = results[i].spec.name, .second = results[j].spec.name};
      const auto &ours = results[i].output.sequences, &theirs = results[j].output.sequences;
      for (std::size_t b = 0; b < ours.size(); ++b)
        for (std::int64_t t = 0; t < ours[b].steps.size(); ++t) {
          const Numbers first = rows_at(ours[b], t, options.magnitude),
                        second = rows_at(theirs[b], t, options.magnitude);
          if (first.size() != second.size())
            throw InputError("'" + agreement.first + "' and '" + agreement.second + "': text " + std::to_string(b) +
                             " has " + std::to_string(first.size()) + " and " + std::to_string(second.size()) +
                             " attributed tokens; attribute the same sides of the text");
          add_step(agreement, first, second, options.top);
        }
      for (StepMean* mean :
           {&agreement.spearman, &agreement.kendall, &agreement.pearson, &agreement.cosine, &agreement.overlap})
        mean->mean = mean->steps > 0 ? mean->mean / static_cast<double>(mean->steps) : NAN;
      pairs.push_back(std::move(agreement));
    }
  return pairs;
}

}  // namespace whence::host
