#include "reference_lime.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "whence/error.h"
#include "whence/problem.h"

namespace {

using whence::PointPlace;
using whence::Problem;
using whence::Side;
using whence::Tensor;

/// Parameters of the other convention, with their defaults in plugin.yaml.
const std::vector<std::pair<const char*, whence::Value>>& unused() {
  static const std::vector<std::pair<const char*, whence::Value>> parameters = {
      {"units", whence::Value(std::string("word"))},
      {"spans", whence::Value()},
      {"language", whence::Value(std::string("en"))},
      {"protect", whence::Value(std::string("special"))},
      {"removal", whence::Value(std::string("baseline"))},
      {"token", whence::Value()},
      {"kernel_width", whence::Value(0.25)}};
  return parameters;
}

/// What a text is masked with, and where.
class Masks {
 public:
  Masks(const Problem& problem, double probability) : problem_(problem), probability_(probability) {}

  /// The number that stands in every hidden unit of a masked row.
  double filling(Side side) const {
    const auto& special = problem_.model().tokenizer().on(side).special_ids();
    const auto unknown = special.unknown ? special.unknown : special.pad ? special.pad : special.eos;
    if (!unknown)
      throw whence::ModelError(problem_.model().info().name +
                               ": the tokenizer has no unknown, padding or end-of-text token whose number could be "
                               "filled in; use compat: none");
    return static_cast<double>(*unknown);
  }
  /// [rows] of a sample: true where it is kept.
  Tensor kept(std::int64_t sequence, Side side, std::int64_t sample) const {
    const char* purpose = side == Side::source ? "lime reference source" : "lime reference target";
    return problem_.random(sequence, purpose, sample).uniform({problem_.length(side)}) >= probability_;
  }

 private:
  const Problem& problem_;
  const double probability_;
};

/// Rows of one side that a step sees.
struct Rows {
  Tensor differences;  ///< [n,D] from what masks fill in
  Tensor same;         ///< [n] numbers that masking does not change
  Tensor kept;         ///< [K,n]
};

/// Coefficients [n,D] of scores [K]. A row is its filling plus `kept` times its difference, so that all of its
/// regressors are multiples of one mask: the dual problem needs the masks alone.
Tensor coefficients(const Rows& rows, const Tensor& scores, double alpha) {
  const auto numbers = static_cast<double>(rows.differences.size(1));
  const Tensor weight = rows.kept.matmul(numbers - rows.same) + rows.same.sum();
  const Tensor share = weight / weight.sum(), root = weight.sqrt();
  const Tensor masks = (rows.kept - share.matmul(rows.kept)) * root.unsqueeze(1);
  const Tensor gram = (masks * rows.differences.square().sum(1)).matmul(masks.t());
  const Tensor y = (scores - share.dot(scores)) * root;
  const Tensor dual = at::linalg_solve(gram + alpha * at::eye(gram.size(0), gram.options()), y);
  return masks.t().matmul(dual).unsqueeze(1) * rows.differences;
}

}  // namespace

ReferenceLime::ReferenceLime(const whence::Params& params)
    : samples_(params.get<std::int64_t>("samples")),
      mask_prob_(params.get<double>("mask_prob")),
      alpha_(params.get<double>("alpha")) {
  for (const auto& [name, value] : unused()) {
    const auto found = params.values().find(name);
    if (found == params.values().end() || found->second == value) continue;
    throw whence::ConfigError(found->second.mark(), std::string(name) +
                                                        ": compat: reference masks rows of embeddings, each by itself, "
                                                        "and has no use for it; leave it out");
  }
}

whence::Attribution ReferenceLime::attribute(const Problem& problem) const {
  for (const whence::Sequence& sequence : problem.sequences())
    if (!sequence.step_spans.empty())
      throw whence::ConfigError("compat: reference fits single steps, not a span of them as one; use compat: none");
  const Masks masks(problem, mask_prob_);
  whence::Points points{.count = samples_};
  points.rows = [&](const PointPlace& place) {
    const Tensor kept = masks.kept(place.sequence, place.side, place.point).unsqueeze(1);
    return problem.embeddings(place.side)[place.sequence].masked_fill(kept.logical_not(), masks.filling(place.side));
  };
  const Tensor scores = problem.scores(points).to(at::kDouble);  // [K,B,T]

  whence::Attribution attribution{.granularity = {"hidden"}};
  std::vector<Side> sides;
  for (const Side side : {Side::source, Side::target}) {
    if (!problem.attributes(side)) continue;
    sides.push_back(side);
    (side == Side::source ? attribution.source : attribution.target) =
        at::zeros({problem.batch_size(), problem.length(side), problem.steps(), problem.model().info().embedding});
  }
  for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
    const whence::Sequence& text = problem.sequences()[static_cast<std::size_t>(b)];
    std::vector<Rows> all;
    for (const Side side : sides) {
      const Tensor input = problem.embeddings(side)[b].to(at::kDouble);
      std::vector<Tensor> kept;
      for (std::int64_t sample = 0; sample < samples_; ++sample) kept.push_back(masks.kept(b, side, sample));
      const Tensor differences = input - masks.filling(side);
      all.push_back({differences, (differences == 0).sum(1).to(at::kDouble), at::stack(kept).to(at::kDouble)});
    }
    for (std::int64_t t = 0; t < text.steps.size(); ++t) {
      Rows seen;
      std::vector<std::int64_t> counts;
      for (std::size_t i = 0; i < sides.size(); ++i) {
        counts.push_back(sides[i] == Side::source ? std::ssize(text.source) : text.steps.start + t);
        const auto join = [&](Tensor& whole, const Tensor& rows, std::int64_t dim) {
          const Tensor own = rows.narrow(dim, 0, counts.back());
          whole = whole.defined() ? at::cat({whole, own}, dim) : own;
        };
        join(seen.differences, all[i].differences, 0);
        join(seen.same, all[i].same, 0);
        join(seen.kept, all[i].kept, 1);
      }
      const Tensor found = coefficients(seen, scores.select(1, b).select(1, t), alpha_);
      std::int64_t first = 0;
      for (std::size_t i = 0; i < sides.size(); ++i) {
        Tensor& into = sides[i] == Side::source ? attribution.source : attribution.target;
        into[b].narrow(0, 0, counts[i]).select(1, t).copy_(found.narrow(0, first, counts[i]));
        first += counts[i];
      }
    }
  }
  return attribution;
}
