#include "whence/coalition_game.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "whence/error.h"

namespace whence {
namespace {

/// Variants whose masks are held at a time.
constexpr std::size_t kVariantsTogether = 1024;

}  // namespace

CoalitionGame::CoalitionGame(const Problem& problem, const UnitChoice& units, const RemovalChoice& removal,
                             std::int64_t draw)
    : problem_(problem), removal_(removal), draw_(draw), known_(problem.sequences().size()) {
  for (std::int64_t b = 0; b < problem.batch_size(); ++b) units_.push_back(units.of(problem, b));
}

std::vector<CoalitionGame::Audience> CoalitionGame::audiences(std::int64_t game) const {
  const Sequence& sequence = problem_.sequences()[static_cast<std::size_t>(game)];
  std::vector<Audience> result;
  for (std::int64_t t = 0; t < sequence.columns(); ++t) {
    const std::int64_t seen = std::count_if(units(game).begin(), units(game).end(), [&](const RemovableUnit& unit) {
      return unit.side == Side::source || unit.span.start + 1 < sequence.column(t).end;
    });
    if (result.empty() || result.back().players != seen) result.push_back({seen, {t, t}});
    result.back().steps.end = t + 1;
  }
  return result;
}

Tensor CoalitionGame::presence(const std::vector<Coalition>& coalitions) {
  Tensor rows =
      at::zeros({std::ssize(coalitions), coalitions.empty() ? 0 : std::ssize(coalitions.front())}, at::kDouble);
  for (std::size_t c = 0; c < coalitions.size(); ++c)
    std::copy(coalitions[c].begin(), coalitions[c].end(),
              rows.mutable_data_ptr<double>() + static_cast<std::int64_t>(c) * rows.size(1));
  return rows;
}

void CoalitionGame::evaluate(const std::vector<std::vector<Coalition>>& wanted, std::size_t first, std::size_t count) {
  Variants variants;
  const auto masks = [&](Side side) -> Tensor {
    if (!problem_.attributes(side)) return {};
    Tensor mask =
        at::zeros({static_cast<std::int64_t>(count), problem_.batch_size(), problem_.length(side)}, at::kBool);
    for (std::size_t b = 0; b < wanted.size(); ++b)
      for (std::size_t c = first; c < std::min(first + count, wanted[b].size()); ++c)
        for (std::size_t i = 0; i < units_[b].size(); ++i) {
          const RemovableUnit& unit = units_[b][i];
          if (wanted[b][c][i] || unit.side != side) continue;
          bool* row =
              mask.mutable_data_ptr<bool>() +
              (static_cast<std::int64_t>(c - first) * mask.size(1) + static_cast<std::int64_t>(b)) * mask.size(2);
          std::fill(row + unit.span.start, row + unit.span.end, true);
        }
    return mask;
  };
  variants.source_mask = masks(Side::source);
  variants.target_mask = masks(Side::target);
  removal_.complete(problem_, draw_, variants);
  const Tensor scores = problem_.scores(variants).to(at::kDouble);
  // A fit would make something of them.
  if (const Tensor broken = at::nonzero(at::isfinite(scores).logical_not()); broken.size(0) > 0)
    throw ModelError("sequence '" +
                     problem_.sequences()[static_cast<std::size_t>(broken[0][1].item<std::int64_t>())].id + "', step " +
                     std::to_string(broken[0][2].item<std::int64_t>()) +
                     ": the score is not finite once tokens are removed; nothing was stored");
  for (std::size_t b = 0; b < wanted.size(); ++b)
    for (std::size_t c = first; c < std::min(first + count, wanted[b].size()); ++c)
      known_[b].emplace(wanted[b][c],
                        scores[static_cast<std::int64_t>(c - first)][static_cast<std::int64_t>(b)].clone());
}

std::vector<Tensor> CoalitionGame::worth(const std::vector<std::vector<Coalition>>& coalitions) {
  std::vector<std::vector<Coalition>> unknown(coalitions.size());
  std::size_t most = 0;
  for (std::size_t b = 0; b < coalitions.size(); ++b) {
    for (const Coalition& coalition : coalitions[b])
      if (!known_[b].contains(coalition)) unknown[b].push_back(coalition);
    std::sort(unknown[b].begin(), unknown[b].end());
    unknown[b].erase(std::unique(unknown[b].begin(), unknown[b].end()), unknown[b].end());
    most = std::max(most, unknown[b].size());
  }
  for (std::size_t first = 0; first < most; first += kVariantsTogether)
    evaluate(unknown, first, std::min(kVariantsTogether, most - first));
  std::vector<Tensor> worth;
  for (std::size_t b = 0; b < coalitions.size(); ++b) {
    std::vector<Tensor> rows;
    for (const Coalition& coalition : coalitions[b]) rows.push_back(known_[b].at(coalition));
    worth.push_back(rows.empty() ? at::zeros({0, problem_.steps()}, at::kDouble) : at::stack(rows));
  }
  return worth;
}

Attribution CoalitionGame::attribution(const std::vector<Tensor>& scores) const {
  Attribution result;
  for (const Side side : {Side::source, Side::target}) {
    if (!problem_.attributes(side)) continue;
    Tensor rows = at::zeros({problem_.batch_size(), problem_.length(side), problem_.steps()});
    for (std::int64_t b = 0; b < games(); ++b) {
      const Sequence& sequence = problem_.sequences()[static_cast<std::size_t>(b)];
      const Tensor own = scores[static_cast<std::size_t>(b)].to(at::kFloat);
      for (std::int64_t i = 0; i < players(b); ++i) {
        const RemovableUnit& unit = units(b)[static_cast<std::size_t>(i)];
        if (unit.side != side) continue;
        for (std::int64_t t = 0; t < sequence.columns(); ++t) {
          const std::int64_t end =
              side == Side::source ? unit.span.end : std::min(unit.span.end, sequence.column(t).end - 1);
          if (end <= unit.span.start) continue;
          rows[b].select(1, t).slice(0, unit.span.start, end).fill_(own[i][t] / (end - unit.span.start));
        }
      }
    }
    (side == Side::source ? result.source : result.target) = rows;
  }
  return result;
}

}  // namespace whence
