#include "pass_plan.h"

#include <algorithm>

#include "whence/error.h"
#include "whence/memory.h"

namespace whence {
namespace {

constexpr std::int64_t kFloat = sizeof(float);
/// Of the free memory, when no budget is given.
constexpr std::int64_t kFreeShare = 4;
// Enough rows for matrix products to reach their rate; more would only take more memory. Logits, too, are many numbers
// for few rows.
constexpr std::int64_t kRowsOfPass = 2048, kRowsOfTracedPass = 512, kCotangentRows = 16384;
constexpr std::int64_t kLogitsOfPass = std::int64_t{1} << 24;
/// Weights of an attention beside others of their size, and the states of a block in parts.
constexpr std::int64_t kShownWeights = 3, kShownStates = 12;

}  // namespace

PassPlan::PassPlan(const ModelInfo& model, std::vector<Rows> rows, std::int64_t budget, const Beside& beside)
    : hidden_(model.hidden),
      heads_(model.heads),
      vocabulary_(model.vocabulary),
      weights_(model.weight_bytes),
      model_(pass_bytes(model)),
      rows_(std::move(rows)),
      beside_(beside),
      given_(budget),
      budget_(budget > 0 ? std::max<std::int64_t>(0, budget - weights_) : available_memory() / kFreeShare) {}

std::int64_t PassPlan::prefix_bytes(std::int64_t sequence) const {
  const Rows& rows = rows_[static_cast<std::size_t>(sequence)];
  return (rows.target + rows.source) * model_.prefix_row;
}

std::int64_t PassPlan::computed_rows(const Unit& unit, const PassKind& kind) const {
  const Rows& rows = rows_[static_cast<std::size_t>(unit.sequence)];
  return rows.target - unit.first_row + (kind.shared ? 0 : rows.source);
}

std::int64_t PassPlan::first_step(const std::vector<Unit>& units, const PassKind& kind) {
  std::int64_t first = kind.first_step + kind.steps - 1;
  for (const Unit& unit : units) first = std::min(first, unit.first_step);
  return std::max(first, kind.first_step);
}

std::int64_t PassPlan::bytes(const std::vector<Unit>& units, const PassKind& kind, std::int64_t steps_at_once) const {
  const auto texts = static_cast<std::int64_t>(units.size());
  Rows longest;
  std::int64_t computed = 0;
  for (const Unit& unit : units) {
    const Rows& rows = rows_[static_cast<std::size_t>(unit.sequence)];
    longest = {std::max(longest.target, rows.target), std::max(longest.source, rows.source)};
    computed += computed_rows(unit, kind);
  }
  if (beside_.text) computed *= 2;
  const std::int64_t padded = (beside_.text ? 2 : 1) * texts * (longest.target + longest.source);
  const std::int64_t steps = kind.first_step + kind.steps - first_step(units, kind);
  // The logits twice: those of the rows that are asked for, and in their places.
  const std::int64_t logits = texts * steps * beside_.reads * vocabulary_;
  std::int64_t held = model_.fixed + (2 + beside_.logits) * logits * kFloat;
  if (kind.embeddings) held += padded * hidden_ * kFloat;
  if (kind.keep_prefix) held += computed * model_.prefix_row;
  const std::int64_t widest = std::max(longest.target, longest.source);
  if (kind.attentions) held += kShownWeights * heads_ * widest * widest * kFloat;
  if (kind.parts) held += (kShownStates + heads_) * widest * hidden_ * kFloat;
  const std::int64_t forward = computed * model_.forward_row;
  if (!kind.trace) return held + forward;
  held += computed * model_.traced_row;
  if (kind.reference) held += computed * model_.traced_row + logits * kFloat;
  std::int64_t carried = computed * steps_at_once;
  if (model_.most_cotangent_rows > 0) carried = std::min(carried, model_.most_cotangent_rows);
  const std::int64_t gradients =
      kind.places * (kind.first_row_only ? texts : padded) * steps_at_once * hidden_ * kFloat;
  return held + std::max(forward, carried * model_.cotangent_row + gradients);
}

PassPlan::Demand PassPlan::demand(const std::vector<Unit>& units, const PassKind& kind, std::int64_t held) const {
  Demand most{held, {}};
  for (const Unit& unit : units)
    if (const std::int64_t bytes_of = held + bytes({unit}, kind, 1); bytes_of > most.bytes) most = {bytes_of, unit};
  return most;
}

std::vector<Pass> PassPlan::passes(const std::vector<Unit>& units, const PassKind& kind, std::int64_t held) const {
  if (units.empty()) return {};
  const std::int64_t most = usable() - held;
  const Unit widest = demand(units, kind, held).unit;
  std::int64_t steps_at_once = 1;
  if (kind.trace) {
    steps_at_once = std::clamp<std::int64_t>(kCotangentRows / std::max<std::int64_t>(1, computed_rows(widest, kind)), 1,
                                             kind.steps);
    while (steps_at_once > 1 && bytes({widest}, kind, steps_at_once) > most) steps_at_once = (steps_at_once + 1) / 2;
  }
  const std::int64_t most_rows = kind.trace ? kRowsOfTracedPass : kRowsOfPass;
  std::vector<Pass> passes;
  std::int64_t rows = 0;
  for (const Unit& unit : units) {
    if (!passes.empty() && rows + computed_rows(unit, kind) <= most_rows) {
      std::vector<Unit>& together = passes.back().units;
      together.push_back(unit);
      const std::int64_t steps = kind.first_step + kind.steps - first_step(together, kind);
      if (static_cast<std::int64_t>(together.size()) * steps * beside_.reads * vocabulary_ <= kLogitsOfPass &&
          bytes(together, kind, steps_at_once) <= most) {
        rows += computed_rows(unit, kind);
        continue;
      }
      together.pop_back();
    }
    passes.push_back({.units = {unit}, .steps_at_once = steps_at_once});
    rows = computed_rows(unit, kind);
  }
  for (Pass& pass : passes) {
    pass.first_step = first_step(pass.units, kind);
    pass.steps = kind.first_step + kind.steps - pass.first_step;
  }
  return passes;
}

void PassPlan::require(const std::vector<Demand>& demands) const {
  Demand most;
  for (const Demand& demand : demands)
    if (demand.bytes > most.bytes) most = demand;
  if (fits(most)) return;
  // The smallest budget whose usable part holds what is needed.
  std::int64_t least = most.bytes + most.bytes / (kCacheShare - 1);
  while (least - least / kCacheShare < most.bytes) ++least;
  while (least - 1 - (least - 1) / kCacheShare >= most.bytes) --least;
  const std::string budget = given_ > 0 ? "budget of " + std::to_string(given_) + " bytes"
                                        : "share of the free memory, " + std::to_string(budget_) + " bytes,";
  const Rows& rows = rows_[static_cast<std::size_t>(most.unit.sequence)];
  throw ConfigError("memory: the " + budget + " does not hold " +
                    (weights_ > 0 ? "the weights (" + std::to_string(weights_) + " bytes) and " : "") +
                    "a pass over one text of " + std::to_string(rows.target + rows.source) +
                    " tokens; the least that works is " + std::to_string(least + weights_));
}

}  // namespace whence
