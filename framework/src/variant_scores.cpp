#include "variant_scores.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

namespace whence {
namespace {

constexpr std::int64_t kNoStep = -1, kStart = -1;

/// Masks and ids as plain numbers of P variants.
Tensor packed(const Tensor& given, std::int64_t count, at::ScalarType type, const char* what) {
  if (!given.defined()) return given;
  if (given.scalar_type() != type || given.size(0) != count)
    throw std::logic_error(std::string("expected ") + what + " of every variant");
  return (given.dim() == 2 ? given.unsqueeze(1) : given).contiguous();
}

}  // namespace

VariantScores::VariantScores(ProblemState& state, const Variants& variants, const StepFunction& function)
    : state_(state),
      variants_(variants),
      function_(function),
      plan_(&function == &state.score ? state.plan() : state.plan_for(function, StepRole::attributed)) {
  const Tensor& either = variants.target_mask.defined() ? variants.target_mask : variants.source_mask;
  count_ = either.defined() ? either.size(0) : 0;
  if (variants.removal.size() != 1 && std::ssize(variants.removal) != count_)
    throw std::logic_error("expected one removal for all variants, or one for each");
  masks_[static_cast<int>(Side::target)] = packed(variants.target_mask, count_, at::kBool, "masks");
  masks_[static_cast<int>(Side::source)] = packed(variants.source_mask, count_, at::kBool, "masks");
  ids_[static_cast<int>(Side::target)] = packed(variants.target_ids, count_, at::kLong, "ids");
  ids_[static_cast<int>(Side::source)] = packed(variants.source_ids, count_, at::kLong, "ids");
  if (uses(Removal::mask) && !state.model.info().masks_attention)
    throw ConfigError("removal 'mask': " + state.model.info().name +
                      " cannot mask its attention; choose another way of removing tokens");
}

bool VariantScores::uses(Removal removal) const {
  return std::find(variants_.removal.begin(), variants_.removal.end(), removal) != variants_.removal.end();
}

Removal VariantScores::removal(std::int64_t variant) const {
  return variants_.removal.size() == 1 ? variants_.removal.front()
                                       : variants_.removal[static_cast<std::size_t>(variant)];
}

const bool* VariantScores::marks(Side side, std::int64_t variant, std::int64_t sequence) const {
  const Tensor& mask = masks_[static_cast<int>(side)];
  if (!mask.defined()) return nullptr;
  return mask.const_data_ptr<bool>() + (variant * mask.size(1) + (mask.size(1) == 1 ? 0 : sequence)) * mask.size(2);
}

bool VariantScores::changes(Side side, std::int64_t variant, std::int64_t sequence, std::int64_t row) const {
  if (!marks(side, variant, sequence)[row]) return false;
  const std::int64_t at = sequence * state_.length(side) + row;
  switch (removal(variant)) {
    case Removal::baseline:
      return state_.replaced(side).const_data_ptr<bool>()[at];
    case Removal::token: {
      const Tensor& ids = ids_[static_cast<int>(side)];
      if (!ids.defined()) throw std::logic_error("expected the ids that stand in for removed tokens");
      const std::int64_t own = (variant * ids.size(1) + (ids.size(1) == 1 ? 0 : sequence)) * ids.size(2) + row;
      return ids.const_data_ptr<std::int64_t>()[own] != state_.ids(side).ids.const_data_ptr<std::int64_t>()[at];
    }
    default:
      return true;
  }
}

std::int64_t VariantScores::first_change(Side side, std::int64_t variant, std::int64_t sequence) const {
  if (!marks(side, variant, sequence)) return -1;
  for (std::int64_t row = 0; row < state_.rows_of(side, sequence); ++row)
    if (changes(side, variant, sequence, row)) return row;
  return -1;
}

VariantScores::Rest VariantScores::rest(Side side, std::int64_t variant, std::int64_t sequence) const {
  const bool* removed = marks(side, variant, sequence);
  Rest rest;
  const Span steps = state_.sequences[static_cast<std::size_t>(sequence)].steps;
  const std::int64_t length = state_.rows_of(side, sequence);
  const std::int64_t needed = side == Side::target ? steps.start : length;
  if (std::all_of(removed, removed + needed, [](bool mark) { return mark; })) rest.rows.push_back(kStart);
  for (std::int64_t row = 0; row < length; ++row) {
    if (!removed[row]) rest.rows.push_back(row);
    if (side == Side::target && row + 1 >= steps.start) rest.read.push_back(std::ssize(rest.rows) - 1);
  }
  return rest;
}

bool VariantScores::shares(std::int64_t variant) const {
  const bool moved = removal(variant) == Removal::erase && state_.model.info().rows_depend_on_length;
  return state_.shares_prefixes() && !moved;
}

VariantScores::Changed VariantScores::units(std::int64_t sequence) const {
  Changed result;
  for (std::int64_t p = 0; p < count_; ++p) {
    const bool source = first_change(Side::source, p, sequence) >= 0;
    std::int64_t first = first_change(Side::target, p, sequence);
    if (!source && first < 0) continue;
    Unit unit{sequence, p, 0, source ? 0 : state_.first_step_after(sequence, first)};
    const bool sharing = !source && shares(p);
    if (sharing) {
      unit.first_row = first;
      // Steps that lost all tokens from the first change on are read at the one before it.
      if (removal(p) == Removal::erase) {
        const Rest left = rest(Side::target, p, sequence);
        const std::int64_t read = first - (state_.sequences[static_cast<std::size_t>(sequence)].steps.start - 1);
        unit.first_row = left.rows.front() == kStart
                             ? 0
                             : std::min(first, left.read[static_cast<std::size_t>(std::max<std::int64_t>(0, read))]);
      }
    }
    (sharing ? result.sharing : result.whole).push_back(unit);
  }
  return result;
}

Tensor VariantScores::start_row(Side side) {
  const SpecialIds& special = state_.model.tokenizer().on(side).special_ids();
  const auto id = special.bos ? special.bos : special.eos ? special.eos : special.unknown;
  if (!id)
    throw ModelError(state_.model.info().name +
                     ": nothing is left of a text, and the tokenizer has no token to begin an empty one with; choose "
                     "another way of removing tokens than to delete them");
  return state_.model.embed(at::full({1}, *id, at::kLong), side);
}

Tensor VariantScores::rows(const Unit& unit, Side side) {
  const std::int64_t sequence = unit.sequence, length = state_.rows_of(side, sequence);
  const Tensor own = state_.embedding(side)[sequence].narrow(0, 0, length);
  const bool* removed = marks(side, unit.copy, sequence);
  if (!removed || first_change(side, unit.copy, sequence) < 0 || removal(unit.copy) == Removal::mask) return own;
  if (removal(unit.copy) == Removal::erase) {
    std::vector<std::int64_t> left = rest(side, unit.copy, sequence).rows;
    const bool opens = left.front() == kStart;
    if (opens) left.front() = 0;
    Tensor rest_of_rows = own.index_select(0, at::tensor(left, at::kLong));
    if (opens) rest_of_rows.narrow(0, 0, 1).copy_(start_row(side));
    return rest_of_rows;
  }
  Tensor changed = own.clone();
  const Tensor& ids = ids_[static_cast<int>(side)];
  std::vector<std::int64_t> places, tokens;
  for (std::int64_t row = 0; row < length; ++row)
    if (changes(side, unit.copy, sequence, row)) {
      places.push_back(row);
      if (removal(unit.copy) == Removal::token)
        tokens.push_back(ids[unit.copy][ids.size(1) == 1 ? 0 : sequence][row].item<std::int64_t>());
    }
  const Tensor at_places = at::tensor(places, at::kLong);
  switch (removal(unit.copy)) {
    case Removal::baseline:
      return changed.index_copy_(0, at_places, state_.baseline(side)[sequence].index_select(0, at_places));
    case Removal::token:
      return changed.index_copy_(0, at_places, state_.model.embed(at::tensor(tokens, at::kLong), side));
    case Removal::mean:
      return changed.index_copy_(0, at_places, state_.mean_row(side).expand({at_places.numel(), own.size(1)}));
    case Removal::row: {
      const Tensor& row = side == Side::target ? variants_.target_row : variants_.source_row;
      if (!row.defined() || row.dim() != 1 || row.size(0) != own.size(1))
        throw std::logic_error("expected the row [D] that stands in for removed tokens");
      return changed.index_copy_(0, at_places, row.to(at::kFloat).expand({at_places.numel(), own.size(1)}));
    }
    default:
      return changed.index_fill_(0, at_places, 0.0);
  }
}

Tensor VariantScores::asked(const Pass& pass) const {
  Tensor result = at::full({std::ssize(pass.units), pass.steps * state_.reads}, kNoStep, at::kLong);
  auto position = result.accessor<std::int64_t, 2>();
  for (std::size_t u = 0; u < pass.units.size(); ++u) {
    const Unit& unit = pass.units[u];
    const Sequence& sequence = state_.sequences[static_cast<std::size_t>(unit.sequence)];
    const std::int64_t first = first_change(Side::target, unit.copy, unit.sequence);
    const bool other_source = first_change(Side::source, unit.copy, unit.sequence) >= 0;
    const bool erased = removal(unit.copy) == Removal::erase && first >= 0;
    const std::vector<std::int64_t> read =
        erased ? rest(Side::target, unit.copy, unit.sequence).read : std::vector<std::int64_t>{};
    for (std::int64_t t = std::max(unit.first_step, pass.first_step);
         t < std::min(sequence.columns(), pass.first_step + pass.steps); ++t) {
      const Span column = sequence.column(t);
      for (std::int64_t i = 0; i < column.size(); ++i) {
        const std::int64_t own = column.start + i - 1;
        if (!other_source && own < first) continue;
        position[static_cast<std::int64_t>(u)][(t - pass.first_step) * state_.reads + i] =
            erased ? read[static_cast<std::size_t>(own + 1 - sequence.steps.start)] : own;
      }
    }
  }
  return result;
}

Inputs VariantScores::inputs(const Pass& pass) {
  Inputs inputs = state_.inputs_of(pass.units, [this](const Unit& unit, Side side) { return rows(unit, side); });
  for (const Side side : {Side::source, Side::target}) {
    PaddedIds& ids = side == Side::source ? inputs.source : inputs.target;
    if (!masks_[static_cast<int>(side)].defined() || !uses(Removal::mask)) continue;
    ids.unseen = at::zeros(ids.ids.sizes(), at::kBool);
    for (std::size_t u = 0; u < pass.units.size(); ++u) {
      const Unit& unit = pass.units[u];
      if (removal(unit.copy) == Removal::mask)
        std::copy_n(marks(side, unit.copy, unit.sequence), state_.rows_of(side, unit.sequence),
                    ids.unseen.mutable_data_ptr<bool>() + static_cast<std::int64_t>(u) * ids.unseen.size(1));
    }
  }
  return inputs;
}

PassKind VariantScores::kind(bool shared) const {
  return {.steps = state_.steps(), .embeddings = true, .shared = shared};
}

void VariantScores::run(const std::vector<Unit>& units, const ProblemState::Prefix* prefix, std::int64_t beside,
                        const Tensor& unchanged, ProblemState::Meter& meter, Tensor& result) {
  // Those that share nothing may run while a prefix is held for others.
  for (const Pass& pass : plan_.passes(units, kind(prefix != nullptr), beside)) {
    ForwardRequest request{.positions = asked(pass)};
    if (prefix) request.shared = ProblemState::shared(*prefix, pass.units);
    const Inputs texts = inputs(pass);
    const Forward forward = state_.model.forward(texts, request);
    const ScoredPass scored{pass.units, texts, pass.first_step, request.positions};
    Tensor scores = state_.scoring().row_scores(function_, StepRole::attributed, forward.logits, scored);
    // What is read before the first changed row keeps the score of the unchanged text.
    const Tensor own = unchanged.index_select(0, sequences_of(pass.units))
                           .narrow(1, pass.first_step * state_.reads, pass.steps * state_.reads);
    scores = state_.scoring().of_steps(at::where(request.positions != kNoStep, scores, own), scored);
    for (std::size_t u = 0; u < pass.units.size(); ++u)
      result[pass.units[u].copy][pass.units[u].sequence]
          .narrow(0, pass.first_step, pass.steps)
          .copy_(scores[static_cast<std::int64_t>(u)]);
    meter.add(pass.units.size());
  }
}

Tensor VariantScores::run() {
  state_.scoring().prepare(function_, StepRole::attributed);
  const bool sharing = state_.shares_prefixes();
  for (const Side side : {Side::source, Side::target}) {
    state_.embedding(side);
    if (uses(Removal::baseline)) state_.baseline(side), state_.replaced(side);
  }
  std::vector<Changed> units_of_texts;
  std::int64_t total = 0;
  for (const Unit& text : state_.whole()) {
    units_of_texts.push_back(units(text.sequence));
    total += units_of_texts.back().size();
  }
  const auto shares_rows = [](const Changed& own) { return !own.sharing.empty(); };
  if (std::none_of(units_of_texts.begin(), units_of_texts.end(), shares_rows)) state_.drop_prefix();
  const std::int64_t steps = state_.steps(), held = state_.held();
  std::vector<PassPlan::Demand> demands;
  for (const Unit& text : state_.whole()) {
    const Changed& own = units_of_texts[static_cast<std::size_t>(text.sequence)];
    const std::int64_t beside = held + (shares_rows(own) ? plan_.prefix_bytes(text.sequence) : 0);
    demands.push_back(plan_.demand({text}, {.steps = steps, .keep_prefix = shares_rows(own)}, held));
    demands.push_back(plan_.demand(own.sharing, kind(true), beside));
    demands.push_back(plan_.demand(own.whole, kind(false), beside));
  }
  plan_.require(demands);
  Tensor result = at::empty({count_, state_.batch(), steps});
  const Tensor other = &function_ == &state_.score ? Tensor() : state_.row_scores(function_, StepRole::attributed);
  ProblemState::Meter meter(state_, total);
  for (const auto& group : sharing ? state_.prefix_groups() : std::vector<std::vector<Unit>>{state_.whole()}) {
    Changed all;
    for (const Unit& text : group) {
      const Changed& own = units_of_texts[static_cast<std::size_t>(text.sequence)];
      all.sharing.insert(all.sharing.end(), own.sharing.begin(), own.sharing.end());
      all.whole.insert(all.whole.end(), own.whole.begin(), own.whole.end());
    }
    const auto prefix = shares_rows(all) ? state_.prefix_of(group) : nullptr;
    if (!prefix) state_.base_row_scores();
    const Tensor unchanged = other.defined() ? other : state_.known_row_scores();
    const Tensor of_steps =
        state_.scoring().of_steps(unchanged, {state_.whole(), state_.inputs, 0, state_.read_positions});
    for (const Unit& text : group) result.select(1, text.sequence).copy_(of_steps[text.sequence]);
    const std::int64_t beside = state_.held() + (prefix ? prefix->bytes : 0);
    if (prefix) run(all.sharing, prefix.get(), beside, unchanged, meter, result);
    run(all.whole, nullptr, beside, unchanged, meter, result);
  }
  return result;
}

}  // namespace whence
