// Discretised integrated gradients against paths that are found by trying every word of a small vocabulary.
#include <algorithm>
#include <cmath>

#include "problem_fixture.h"

namespace whence {
namespace {

using testing::near;
using testing::number;
using testing::text;

class DiscretizedTest : public testing::MethodTest {
 protected:
  using Vector = std::vector<double>;

  static Vector vector(const Tensor& row) {
    Vector values;
    for (std::int64_t d = 0; d < row.size(0); ++d) values.push_back(row[d].item<float>());
    return values;
  }
  static Vector word(const Problem& texts, std::int64_t id) {
    return vector(texts.model().embed(at::tensor({id}, at::kLong), Side::target)[0]);
  }
  static bool lies_between(double x, double a, double b) { return std::min(a, b) <= x && x <= std::max(a, b); }
  static double distance(const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return std::sqrt(sum);
  }
  static Vector monotone(const Vector& v, const Vector& end, const Vector& from, std::int64_t points) {
    Vector made = v;
    for (std::size_t d = 0; d < v.size(); ++d)
      if (!lies_between(v[d], from[d], end[d])) made[d] = from[d] - (from[d] - end[d]) / static_cast<double>(points);
    return made;
  }

  /// Points of the path of a word, from its baseline on.
  static std::vector<Vector> path(const Problem& texts, std::int64_t from, std::int64_t to, std::int64_t points,
                                  std::size_t neighbors, bool count) {
    std::vector<std::int64_t> anchors{from};
    const Vector end = word(texts, to);
    while (std::ssize(anchors) < points - 1) {
      const std::int64_t current = anchors.back();
      const Vector here = word(texts, current);
      std::vector<std::int64_t> near;
      for (std::int64_t v = 0; v < texts.model().info().vocabulary; ++v)
        if (v != current) near.push_back(v);
      std::ranges::sort(near, {}, [&](std::int64_t v) { return distance(word(texts, v), here); });
      near.resize(std::min(near.size(), neighbors));
      std::int64_t best = to;
      double best_cost = INFINITY;
      for (const std::int64_t v : near) {
        if (current == to || v == to || std::ranges::find(anchors, v) != anchors.end()) continue;
        const Vector at = word(texts, v);
        double cost = distance(at, monotone(at, end, here, points));
        if (count) {
          cost = 0;
          for (std::size_t d = 0; d < at.size(); ++d) cost -= lies_between(at[d], here[d], end[d]);
        }
        if (cost < best_cost) best = v, best_cost = cost;
      }
      anchors.push_back(best);
    }
    std::vector<Vector> result{word(texts, from)};
    for (std::size_t i = 1; i < anchors.size(); ++i)
      result.push_back(monotone(word(texts, anchors[i]), end, result.back(), points));
    result.push_back(end);
    std::ranges::reverse(result);
    return result;
  }

  static constexpr std::int64_t kUnknown = 0, kEos = 1;

  static Tensor expected(const Problem& texts, std::int64_t points, std::size_t neighbors, bool count) {
    const Tensor& ids = texts.inputs().target.ids;
    std::vector<Tensor> at(static_cast<std::size_t>(points));
    for (Tensor& rows : at) rows = texts.embeddings(Side::target).clone();
    for (std::int64_t b = 0; b < ids.size(0); ++b)
      for (std::int64_t row = 0; row < ids.size(1); ++row) {
        const auto id = ids[b][row].item<std::int64_t>();
        if (id == kUnknown || id == kEos) continue;  // they are their own baseline
        const auto vectors = path(texts, id, kUnknown, points, neighbors, count);
        for (std::size_t k = 0; k < at.size(); ++k)
          for (std::size_t d = 0; d < vectors[k].size(); ++d)
            at[k][b][row][static_cast<std::int64_t>(d)] = vectors[k][d];
      }
    Points places{.count = points - 1};
    places.rows = [&](const PointPlace& place) { return at[static_cast<std::size_t>(place.point)][place.sequence]; };
    places.factor = [&](const PointPlace& place) {
      const auto k = static_cast<std::size_t>(place.point);
      return (at[k + 1] - at[k])[place.sequence];
    };
    return texts.gradients(places).target;
  }
};

TEST_F(DiscretizedTest, FollowsTheBestNeighbours) {
  for (const bool count : {false, true})
    for (const std::int64_t neighbors : {3, 50}) {
      const Problem texts = problem();
      const Attribution got = attribute(texts, "discretized_integrated_gradients",
                                        {{"n_steps", number(7)},
                                         {"n_neighbors", number(neighbors)},
                                         {"method", text(count ? "maxcount" : "greedy")}});
      EXPECT_TRUE(near(got.target, expected(texts, 7, static_cast<std::size_t>(neighbors), count), 1e-4, 1e-6))
          << count << neighbors;
    }
}

TEST_F(DiscretizedTest, GapIsWhatIsMissingToTheScoreDifference) {
  const Problem texts = problem();
  const Attribution got = attribute(texts, "discretized_integrated_gradients", {{"n_steps", number(5)}});
  const Tensor difference = texts.scores() - texts.scores(Nodes{{0.0}, {1.0}})[0];
  EXPECT_TRUE(near(got.step_scores.at("completeness_gap"), (got.target.sum({1, 3}) - difference) * texts.step_mask(),
                   1e-4, 1e-5));
}

TEST_F(DiscretizedTest, MultipliesByInputMinusBaseline) {
  const Problem texts = problem("probability", /*with_source=*/true);
  const Attribution plain = attribute(texts, "discretized_integrated_gradients", {{"n_steps", number(5)}});
  const Attribution times = attribute(texts, "discretized_integrated_gradients",
                                      {{"n_steps", number(5)}, {"multiply_by_inputs", Value(true)}});
  for (const Side side : {Side::source, Side::target}) {
    const Tensor difference = (texts.embeddings(side) - texts.baseline_embeddings(side)).unsqueeze(2);
    const bool source = side == Side::source;
    EXPECT_TRUE(near(source ? times.source : times.target, (source ? plain.source : plain.target) * difference));
  }
}

}  // namespace
}  // namespace whence
