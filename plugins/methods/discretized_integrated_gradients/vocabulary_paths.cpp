#include "vocabulary_paths.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <set>

using whence::Tensor;

namespace {

constexpr std::int64_t kWordsAtOnce = 4096;
/// Words beyond those wanted whose distances are computed exactly, since products lose digits.
constexpr std::int64_t kMargin = 16;

Tensor between(const Tensor& words, const Tensor& baseline, const Tensor& current) {
  return ((words >= current).logical_and(words <= baseline))
      .logical_or((words <= current).logical_and(words >= baseline));
}

}  // namespace

std::map<VocabularyPaths::Ends, Tensor> VocabularyPaths::between(const std::vector<Ends>& ends) {
  std::map<Ends, std::vector<std::int64_t>> anchors;
  for (const Ends& each : ends) anchors[each] = {each.first};
  // All paths grow together, so that the vocabulary is read once for an anchor of each.
  for (std::int64_t i = 2; i < options_.points; ++i) {
    std::vector<std::int64_t> current;
    for (const auto& [each, path] : anchors)
      if (path.back() != each.second) current.push_back(path.back());
    find_neighbors(current);
    for (auto& [each, path] : anchors) path.push_back(next_anchor(path, each.second));
  }
  std::map<Ends, Tensor> paths;
  for (const auto& [each, path] : anchors) {
    const Tensor words = embed(path), baseline = embed({each.second})[0];
    std::vector<Tensor> points{words[0]};
    for (std::int64_t i = 1; i < words.size(0); ++i) points.push_back(monotone(words[i], baseline, points.back()));
    points.push_back(baseline);
    std::reverse(points.begin(), points.end());
    paths[each] = at::stack(points);
  }
  return paths;
}

void VocabularyPaths::find_neighbors(const std::vector<std::int64_t>& ids) {
  std::set<std::int64_t> unknown;
  for (const std::int64_t id : ids)
    if (!neighbors_.contains(id)) unknown.insert(id);
  if (unknown.empty()) return;
  const std::vector<std::int64_t> asked(unknown.begin(), unknown.end());
  const Tensor queries = embed(asked);
  const std::int64_t vocabulary = model_.info().vocabulary;
  const std::int64_t wanted = std::min(options_.neighbors, vocabulary - 1);
  Tensor distances, words;  // [A,candidates] of the words read so far
  for (std::int64_t first = 0; first < vocabulary; first += kWordsAtOnce) {
    const Tensor some = at::arange(first, std::min(vocabulary, first + kWordsAtOnce), at::kLong);
    const Tensor rows = model_.embed(some, side_);
    const Tensor squares = rows.square().sum(-1) - 2 * at::matmul(queries, rows.t());  // up to those of the queries
    const Tensor here = some.expand({queries.size(0), -1});
    distances = distances.defined() ? at::cat({distances, squares}, 1) : squares;
    words = words.defined() ? at::cat({words, here}, 1) : here;
    const std::int64_t kept = std::min(distances.size(1), wanted + 1 + kMargin);
    const auto [nearest, places] = at::topk(distances, kept, 1, /*largest=*/false);
    distances = nearest;
    words = words.gather(1, places);
  }
  words = std::get<0>(words.sort(1));
  for (std::size_t a = 0; a < asked.size(); ++a) {
    const Tensor candidates = words[static_cast<std::int64_t>(a)];
    const Tensor exact = at::linalg_vector_norm(
        (model_.embed(candidates, side_) - queries[static_cast<std::int64_t>(a)]).to(at::kDouble), 2, -1);
    const Tensor order = std::get<1>(exact.sort(/*stable=*/true, 0, /*descending=*/false));
    std::vector<std::int64_t>& found = neighbors_[asked[a]];
    for (std::int64_t i = 0; i < order.size(0) && std::ssize(found) < wanted; ++i) {
      const auto word = candidates[order[i].item<std::int64_t>()].item<std::int64_t>();
      if (word != asked[a]) found.push_back(word);
    }
  }
}

std::int64_t VocabularyPaths::next_anchor(const std::vector<std::int64_t>& path, std::int64_t baseline) const {
  const std::int64_t current = path.back();
  if (current == baseline) return baseline;
  std::vector<std::int64_t> candidates;
  for (const std::int64_t word : neighbors_.at(current))
    if (word != baseline && std::find(path.begin(), path.end(), word) == path.end()) candidates.push_back(word);
  if (candidates.empty()) return baseline;
  const Tensor words = embed(candidates), end = embed({baseline})[0], from = embed({current})[0];
  const Tensor cost = options_.count_monotone ? -::between(words, end, from).sum(-1)
                                              : at::linalg_vector_norm(words - monotone(words, end, from), 2, -1);
  const Tensor best = std::get<1>(cost.sort(/*stable=*/true, 0, /*descending=*/false))[0];
  return candidates[static_cast<std::size_t>(best.item<std::int64_t>())];
}

Tensor VocabularyPaths::monotone(const Tensor& words, const Tensor& baseline, const Tensor& current) const {
  const Tensor step = current - (current - baseline) / static_cast<double>(options_.points);
  return at::where(::between(words, baseline, current), words, step);
}

Tensor VocabularyPaths::embed(const std::vector<std::int64_t>& ids) const {
  return model_.embed(at::tensor(ids, at::kLong), side_);
}
