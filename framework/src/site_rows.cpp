#include "whence/site_rows.h"

#include <algorithm>

#include "whence/single_text.h"

namespace whence {

SiteRows::SiteRows(const Problem& problem, std::vector<LayerSite> sites)
    : problem_(problem),
      sites_(std::move(sites)),
      inputs_(static_cast<std::size_t>(problem.batch_size())),
      baselines_(inputs_.size()) {}

bool SiteRows::has(Side side) const {
  if (!at_layers()) return problem_.attributes(side);
  return std::ranges::find(sites_, side, &LayerSite::stack) != sites_.end();
}

Tensor SiteRows::input(std::int64_t sequence, Side side) const {
  const auto embeddings = [&](Side of) { return problem_.embeddings(of)[sequence]; };
  return at_layers() ? of(known(inputs_, sequence, embeddings), side) : embeddings(side);
}

Tensor SiteRows::baseline(std::int64_t sequence, Side side) const {
  const auto embeddings = [&](Side of) { return problem_.baseline_embeddings(of)[sequence]; };
  return at_layers() ? of(known(baselines_, sequence, embeddings), side) : embeddings(side);
}

SiteRows::States SiteRows::states(std::int64_t sequence, const std::function<Tensor(Side)>& embeddings) const {
  SingleText text(problem_, sequence);
  const auto begin = [&](Side side, Tensor& rows) {
    if (has(side)) rows = embeddings(side).narrow(0, 0, text.rows(side)).unsqueeze(0);
  };
  begin(Side::target, text.inputs.target_embeddings);
  begin(Side::source, text.inputs.source_embeddings);
  // The last position stands for all rows before it.
  const Tensor last = text.positions.narrow(1, text.positions.size(1) - 1, 1);
  States states = problem_.model().forward(text.inputs, {.positions = last, .sites = sites_}).states;
  for (Tensor& rows : states) rows = rows[0];
  return states;
}

const Tensor& SiteRows::of(const States& states, Side side) const {
  return states[static_cast<std::size_t>(std::ranges::find(sites_, side, &LayerSite::stack) - sites_.begin())];
}

const SiteRows::States& SiteRows::known(std::vector<States>& all, std::int64_t sequence,
                                        const std::function<Tensor(Side)>& embeddings) const {
  States& own = all[static_cast<std::size_t>(sequence)];
  if (own.empty()) own = states(sequence, embeddings);
  return own;
}

}  // namespace whence
