#include "whence/rank_correlation.h"

#include <algorithm>
#include <boost/math/statistics/bivariate_statistics.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

namespace whence {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

bool varies(std::span<const double> numbers) {
  return std::any_of(numbers.begin(), numbers.end(), [&](double number) { return number != numbers.front(); });
}

/// Places of the numbers, smallest first.
template <class Less>
std::vector<std::size_t> sorted_places(std::size_t count, const Less& less) {
  std::vector<std::size_t> places(count);
  std::iota(places.begin(), places.end(), 0);
  std::sort(places.begin(), places.end(), less);
  return places;
}

/// Pairs of equal neighbours: sum over runs of n (n - 1) / 2.
template <class Equal>
std::int64_t tied_pairs(const std::vector<std::size_t>& places, const Equal& equal) {
  std::int64_t pairs = 0, before = 0;  // equal ones before this in its run
  for (std::size_t i = 1; i < places.size(); ++i) {
    before = equal(places[i - 1], places[i]) ? before + 1 : 0;
    pairs += before;
  }
  return pairs;
}

/// Sorts and counts how many pairs stood the wrong way round.
std::int64_t inversions(std::span<double> numbers) {
  if (numbers.size() < 2) return 0;
  const std::size_t middle = numbers.size() / 2;
  std::int64_t count = inversions(numbers.first(middle)) + inversions(numbers.subspan(middle));
  std::size_t left = 0;
  for (std::size_t right = middle; right < numbers.size(); ++right) {
    while (left < middle && numbers[left] <= numbers[right]) ++left;
    count += static_cast<std::int64_t>(middle - left);
  }
  std::inplace_merge(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(middle), numbers.end());
  return count;
}

}  // namespace

std::vector<double> average_ranks(std::span<const double> numbers) {
  const auto places = sorted_places(numbers.size(), [&](auto a, auto b) { return numbers[a] < numbers[b]; });
  std::vector<double> ranks(numbers.size());
  for (std::size_t first = 0, last = 0; first < places.size(); first = last) {
    while (last < places.size() && numbers[places[last]] == numbers[places[first]]) ++last;
    for (std::size_t i = first; i < last; ++i) ranks[places[i]] = static_cast<double>(first + 1 + last) / 2;
  }
  return ranks;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 2 || !varies(x) || !varies(y)) return kNothing;
  return boost::math::statistics::correlation_coefficient(std::vector(x.begin(), x.end()),
                                                          std::vector(y.begin(), y.end()));
}

double spearman(std::span<const double> x, std::span<const double> y) {
  return pearson(average_ranks(x), average_ranks(y));
}

double kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 2 || !varies(x) || !varies(y)) return kNothing;
  const auto places = sorted_places(x.size(), [&](auto a, auto b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  const std::int64_t of_x = tied_pairs(places, [&](auto a, auto b) { return x[a] == x[b]; });
  const std::int64_t of_both = tied_pairs(places, [&](auto a, auto b) { return x[a] == x[b] && y[a] == y[b]; });
  std::vector<double> by_x;
  for (const std::size_t place : places) by_x.push_back(y[place]);
  const std::int64_t discordant = inversions(by_x);
  const auto by_y = sorted_places(y.size(), [&](auto a, auto b) { return y[a] < y[b]; });
  const std::int64_t of_y = tied_pairs(by_y, [&](auto a, auto b) { return y[a] == y[b]; });
  const auto count = static_cast<std::int64_t>(x.size());
  const std::int64_t pairs = count * (count - 1) / 2;
  const std::int64_t concordant = pairs - of_x - of_y + of_both - discordant;
  return static_cast<double>(concordant - discordant) /
         std::sqrt(static_cast<double>(pairs - of_x) * static_cast<double>(pairs - of_y));
}

}  // namespace whence
