#include <ATen/ops/stack.h>

#include <algorithm>

#include "vocabulary_paths.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/target_layer.h"

namespace {

using whence::PointPlace;
using whence::Problem;
using whence::Side;
using whence::Tensor;

/// The points of every text: word paths side by side.
class TextPaths {
 public:
  TextPaths(const Problem& problem, const VocabularyPaths::Options& options)
      : problem_(problem), last_(options.points - 1) {
    for (const Side side : {Side::source, Side::target}) {
      if (!problem.attributes(side)) continue;
      std::vector<VocabularyPaths::Ends> ends;
      for (std::int64_t b = 0; b < problem.batch_size(); ++b)
        for (std::int64_t row = 0; row < problem.length(side); ++row)
          if (!is_special(ids(side)[b][row].item<std::int64_t>(), side)) ends.push_back(ends_of(side, b, row));
      paths_[static_cast<int>(side)] = VocabularyPaths(problem.model(), side, options).between(ends);
    }
  }

  /// [rows,D] of a text at a point, 0 being the baseline. Special tokens jump to themselves at once.
  Tensor at(std::int64_t b, Side side, std::int64_t point) const {
    if (point == 0) return problem_.baseline_embeddings(side)[b];
    std::vector<Tensor> rows;
    for (std::int64_t row = 0; row < problem_.length(side); ++row) {
      const auto path = paths_[static_cast<int>(side)].find(ends_of(side, b, row));
      const bool jumps = is_special(ids(side)[b][row].item<std::int64_t>(), side);
      rows.push_back(jumps || point == last_ ? problem_.embeddings(side)[b][row] : path->second[point]);
    }
    return at::stack(rows);
  }

 private:
  const Tensor& ids(Side side) const {
    return side == Side::source ? problem_.inputs().source.ids : problem_.inputs().target.ids;
  }
  VocabularyPaths::Ends ends_of(Side side, std::int64_t b, std::int64_t row) const {
    return {ids(side)[b][row].item<std::int64_t>(), problem_.baseline_ids(side)[b][row].item<std::int64_t>()};
  }
  bool is_special(std::int64_t id, Side side) const {
    const auto& special = problem_.model().tokenizer().on(side).all_special_ids();
    return std::binary_search(special.begin(), special.end(), id);
  }

  const Problem& problem_;
  const std::int64_t last_;
  std::map<VocabularyPaths::Ends, Tensor> paths_[2];  ///< by Side
};

class DiscretizedIntegratedGradients final : public whence::Method {
 public:
  explicit DiscretizedIntegratedGradients(const whence::Params& params)
      : options_{.points = params.get<std::int64_t>("n_steps"),
                 .neighbors = params.get<std::int64_t>("n_neighbors"),
                 .count_monotone = params.get<std::string>("method") == "maxcount"},
        multiply_(params.get<bool>("multiply_by_inputs")),
        layer_(params) {}

  whence::Attribution attribute(const Problem& problem) const override {
    layer_.require_embeddings(problem, "its points are words, and states of a layer are none");
    const TextPaths paths(problem, options_);
    whence::Points points{.count = options_.points - 1};
    points.rows = [&](const PointPlace& place) { return paths.at(place.sequence, place.side, place.point); };
    points.factor = [&](const PointPlace& place) {
      return paths.at(place.sequence, place.side, place.point + 1) - paths.at(place.sequence, place.side, place.point);
    };
    whence::GradientRequest request;
    if (multiply_) request.multiply = whence::Multiply::input_minus_baseline;
    const whence::PointGradients sums = problem.gradients(points, request);
    whence::Attribution attribution{.source = sums.source, .target = sums.target, .granularity = sums.granularity};
    if (!multiply_)
      attribution.step_scores["completeness_gap"] =
          (sums.total - (problem.scores() - problem.scores(whence::Nodes{{0.0}, {1.0}})[0])) * problem.step_mask();
    return attribution;
  }

 private:
  VocabularyPaths::Options options_;
  bool multiply_;
  whence::TargetLayer layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("discretized_integrated_gradients", [](const whence::Params& params) {
    return std::make_unique<DiscretizedIntegratedGradients>(params);
  });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
