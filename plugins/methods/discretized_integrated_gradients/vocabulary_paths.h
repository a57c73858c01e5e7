#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "whence/model.h"

/// Paths from words to their baselines over neighbours in the vocabulary (Sanyal and Ren 2021, arXiv:2108.13654,
/// section 3), all embeddings scaled as the model scales them.
class VocabularyPaths {
 public:
  struct Options {
    std::int64_t points = 50;     ///< of a path, both ends included; at least 2
    std::int64_t neighbors = 50;  ///< nearest words that a next anchor is taken from
    bool count_monotone = false;  ///< the best has most monotone coordinates; else it moves least when made monotone
  };
  using Ends = std::pair<std::int64_t, std::int64_t>;  ///< ids of word and baseline

  VocabularyPaths(const whence::Model& model, whence::Side side, const Options& options)
      : model_(model), side_(side), options_(options) {}

  /// [points,D] of each path, the baseline first; every coordinate is monotone along it.
  std::map<Ends, whence::Tensor> between(const std::vector<Ends>& ends);

 private:
  /// Finds the nearest words of ids whose are not known yet, closest first; of two at the same distance the lower id.
  void find_neighbors(const std::vector<std::int64_t>& ids);
  std::int64_t next_anchor(const std::vector<std::int64_t>& path, std::int64_t baseline) const;
  /// Coordinates of `words` [..,D] that do not lie between `current` and `baseline` [D], both included, are replaced by
  /// a step of 1/points from `current` to `baseline`.
  whence::Tensor monotone(const whence::Tensor& words, const whence::Tensor& baseline,
                          const whence::Tensor& current) const;
  whence::Tensor embed(const std::vector<std::int64_t>& ids) const;

  const whence::Model& model_;
  const whence::Side side_;
  const Options options_;
  std::map<std::int64_t, std::vector<std::int64_t>> neighbors_;
};
