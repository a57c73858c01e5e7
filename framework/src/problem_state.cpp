#include "problem_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "leaves.h"
#include "padded_ids.h"

namespace whence {
namespace {

constexpr std::int64_t kNoStep = -1;
constexpr std::int64_t kFloat = sizeof(float);
constexpr std::int64_t kEmbeddedTogether = 4096;

std::string name_of(const Sequence& sequence) { return "sequence '" + sequence.id + "'"; }

void check_step_spans(const Sequence& sequence) {
  if (sequence.step_spans.empty()) return;
  const auto range = [](const Span& span) {
    return "[" + std::to_string(span.start) + ", " + std::to_string(span.end) + ")";
  };
  std::int64_t free_from = sequence.steps.start;
  for (const Span& span : sequence.step_spans) {
    if (span.size() < 1 || span.start < free_from)
      throw InputError(name_of(sequence) + ": explained span " + range(span) +
                       (span.size() < 1 ? " is empty" : " overlaps or precedes the span before it, or the first step") +
                       "; spans are [start, end) with start < end, ascending and without overlap");
    free_from = span.end;
  }
  if (sequence.step_spans.front().start != sequence.steps.start || free_from != sequence.steps.end)
    throw InputError(name_of(sequence) + ": explained spans reach from " +
                     std::to_string(sequence.step_spans.front().start) + " to " + std::to_string(free_from) +
                     ", but the explained positions are " + range(sequence.steps) + "; make both the same");
}

void check(const Sequence& sequence, const ModelInfo& model) {
  const auto length = static_cast<std::int64_t>(sequence.target.size());
  if (length == 0) throw InputError(name_of(sequence) + ": empty text; give at least one token");
  const bool has_encoder = model.kind == ModelKind::encoder_decoder;
  if (has_encoder != !sequence.source.empty())
    throw InputError(name_of(sequence) +
                     (has_encoder ? ": no source text; an encoder-decoder model needs one"
                                  : ": has a source; a decoder-only model takes prompt and continuation as one text"));
  const auto [start, end] = sequence.steps;
  // The first token has no prefix that could predict it.
  if (start < 1 || end > length || start >= end)
    throw InputError(name_of(sequence) + ": explained positions [" + std::to_string(start) + ", " +
                     std::to_string(end) + ") do not fit a text of " + std::to_string(length) +
                     " tokens; expected 1 <= start < end <= length");
  check_step_spans(sequence);
  const auto longest = std::max(end, static_cast<std::int64_t>(sequence.source.size()));
  if (model.max_positions > 0 && longest > model.max_positions)
    throw InputError(name_of(sequence) + ": " + std::to_string(longest) +
                     " tokens are longer than the model's context of " + std::to_string(model.max_positions) +
                     "; shorten the text");
}

Tensor first_rows_of(const std::vector<Unit>& units) {
  std::vector<std::int64_t> list;
  for (const Unit& unit : units) list.push_back(unit.first_row);
  return at::tensor(list, at::kLong);
}

}  // namespace

Tensor sequences_of(const std::vector<Unit>& units) {
  std::vector<std::int64_t> list;
  for (const Unit& unit : units) list.push_back(unit.sequence);
  return at::tensor(list, at::kLong);
}

ProblemState::ProblemState(const Model& model, const StepFunction& score, std::vector<Sequence> given,
                           Problem::Options options)
    : model(model),
      score(score),
      sequences(std::move(given)),
      options(std::move(options)),
      work_before(model.work()),
      scoring_(*this),
      known_(sequences.size(), false) {
  if (sequences.empty()) throw InputError("no sequence to attribute; give at least one text");
  std::vector<TokenIds> targets, sources;
  std::int64_t most_steps = 0;
  for (const Sequence& sequence : sequences) {
    check(sequence, model.info());
    TokenIds target, source;
    for (std::int64_t i = 0; i < sequence.steps.end; ++i)
      target.push_back(sequence.target[static_cast<std::size_t>(i)].id);
    for (const Token& token : sequence.source) source.push_back(token.id);
    // The last explained token is predicted, but predicts nothing.
    rows.push_back(sequence.steps.end - 1);
    pass_rows.push_back({rows.back(), static_cast<std::int64_t>(source.size())});
    targets.push_back(std::move(target));
    sources.push_back(std::move(source));
    most_steps = std::max(most_steps, sequence.columns());
    for (const Span& span : sequence.step_spans) reads = std::max(reads, span.size());
  }
  inputs.target = padded_ids(targets);
  if (model.info().kind == ModelKind::encoder_decoder) inputs.source = padded_ids(sources);

  const auto batch = static_cast<std::int64_t>(sequences.size());
  positions = at::full({batch, most_steps}, kNoStep, at::kLong);
  read_positions = at::full({batch, most_steps * reads}, kNoStep, at::kLong);
  step_ids = at::zeros({batch, most_steps * reads}, at::kLong);
  shares_ = at::zeros({batch, most_steps * reads});
  auto position = positions.accessor<std::int64_t, 2>();
  auto read = read_positions.accessor<std::int64_t, 2>();
  auto id = step_ids.accessor<std::int64_t, 2>();
  auto share = shares_.accessor<float, 2>();
  for (std::int64_t b = 0; b < batch; ++b) {
    const Sequence& sequence = sequences[static_cast<std::size_t>(b)];
    for (std::int64_t t = 0; t < sequence.columns(); ++t) {
      const Span column = sequence.column(t);
      position[b][t] = column.end - 2;
      for (std::int64_t i = 0; i < column.size(); ++i) {
        read[b][t * reads + i] = column.start + i - 1;
        id[b][t * reads + i] = targets[static_cast<std::size_t>(b)][static_cast<std::size_t>(column.start + i)];
        share[b][t * reads + i] = sequence.span_score == SpanScore::mean ? 1 / static_cast<float>(column.size()) : 1.0F;
      }
    }
  }
  step_mask = positions != kNoStep;
  plan_.emplace(plan_for(score, StepRole::attributed));
  scoring_.prepare(score, StepRole::attributed);
}

PassPlan ProblemState::plan_for(const StepFunction& function, StepRole role) {
  const PassPlan::Beside beside = scoring_.beside(function, role);
  std::vector<PassPlan::Rows> rows = pass_rows;
  if (beside.text) {
    // A pass and the one beside it, as if both were as long as the longer of them.
    const std::vector<PassPlan::Rows> other = scoring_.contrast_rows();
    for (std::size_t b = 0; b < rows.size(); ++b)
      rows[b] = {std::max(rows[b].target, other[b].target), std::max(rows[b].source, other[b].source)};
  }
  return PassPlan(model.info(), std::move(rows), options.memory_bytes, beside);
}

ProblemState::~ProblemState() = default;

Leaves& ProblemState::leaves(const std::vector<LayerSite>& sites) {
  if (!leaves_ || leaves_->sites() != sites) {
    leaves_.reset();
    leaves_ = std::make_unique<Leaves>(*this, sites);
  }
  return *leaves_;
}

std::int64_t ProblemState::rows_of(Side side, std::int64_t sequence) const {
  const auto b = static_cast<std::size_t>(sequence);
  return side == Side::target ? rows[b] : static_cast<std::int64_t>(sequences[b].source.size());
}

std::int64_t ProblemState::first_step_after(std::int64_t sequence, std::int64_t row) const {
  // A step reads up to the row before the last token that it explains.
  const std::int64_t* last = positions.const_data_ptr<std::int64_t>() + sequence * steps();
  return std::lower_bound(last, last + sequences[static_cast<std::size_t>(sequence)].columns(), row) - last;
}

bool ProblemState::attributes(Side side) const {
  if (side == Side::source) return inputs.source.defined();
  return model.info().kind == ModelKind::decoder_only || options.attribute_target;
}

const Tensor& ProblemState::embedding(Side side) {
  Tensor& rows = embeddings_[static_cast<int>(side)];
  if (!rows.defined() && ids(side).defined()) rows = model.embed(ids(side).ids, side);
  return rows;
}

const Tensor& ProblemState::baseline(Side side) {
  Tensor& rows = baselines_[static_cast<int>(side)];
  if (!rows.defined() && ids(side).defined()) rows = model.embed(baseline_ids(side), side);
  return rows;
}

const Tensor& ProblemState::baseline_ids(Side side) {
  Tensor& tokens = baseline_ids_[static_cast<int>(side)];
  if (!tokens.defined() && ids(side).defined()) tokens = make_baseline_ids(side);
  return tokens;
}

const Tensor& ProblemState::replaced(Side side) {
  Tensor& tokens = replaced_[static_cast<int>(side)];
  if (!tokens.defined() && ids(side).defined()) tokens = baseline_ids(side) != ids(side).ids;
  return tokens;
}

const Tensor& ProblemState::mean_row(Side side) {
  Tensor& mean = mean_rows_[static_cast<int>(side)];
  if (mean.defined()) return mean;
  // Double, so that the sum of a large vocabulary keeps its digits.
  Tensor sum = at::zeros({model.info().embedding}, at::kDouble);
  const std::int64_t vocabulary = model.info().vocabulary;
  for (std::int64_t first = 0; first < vocabulary; first += kEmbeddedTogether) {
    const Tensor some = at::arange(first, std::min(first + kEmbeddedTogether, vocabulary), at::kLong);
    sum += model.embed(some, side).sum(0, false, at::kDouble);
  }
  return mean = (sum / vocabulary).to(at::kFloat);
}

/// Every token becomes the unknown one; EOS keeps itself unless `eos_baseline`, a decoder start token always does.
Tensor ProblemState::make_baseline_ids(Side side) const {
  const auto& special = model.tokenizer().special_ids();
  const auto unknown = special.unknown ? special.unknown : special.pad ? special.pad : special.eos;
  if (!unknown)
    throw ModelError(model.info().name +
                     ": the tokenizer has no unknown, padding or end-of-text token to build a baseline from; " +
                     "use a method without baseline");
  const Tensor& own = ids(side).ids;
  Tensor baseline = at::full(own.sizes(), *unknown, own.options());
  if (special.eos && !options.eos_baseline) baseline = at::where(own == *special.eos, own, baseline);
  if (side == Side::target && model.info().kind == ModelKind::encoder_decoder)
    baseline.select(1, 0).copy_(own.select(1, 0));
  return baseline;
}

std::int64_t ProblemState::held() const {
  std::int64_t bytes = scoring_.held();
  for (const auto& rows : {embeddings_[0], embeddings_[1], baselines_[0], baselines_[1]})
    if (rows.defined()) bytes += rows.numel() * kFloat;
  return bytes + (leaves_ ? leaves_->bytes() : 0);
}

Inputs ProblemState::inputs_of(const std::vector<Unit>& units, const RowsOf& rows,
                               const std::vector<LayerSite>& sites) {
  const Tensor sequence = sequences_of(units);
  Inputs pass;
  const auto fill = [&](Side side, PaddedIds& ids_of_pass, Tensor& embeddings, LayerStates& states) {
    if (!ids(side).defined()) return;
    std::vector<Tensor> own;
    std::vector<std::int64_t> lengths;
    for (const Unit& unit : units) {
      own.push_back(rows ? rows(unit, side) : Tensor());
      lengths.push_back(own.back().defined() ? own.back().size(0) : rows_of(side, unit.sequence));
    }
    const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
    ids_of_pass = {ids(side).ids.index_select(0, sequence).narrow(1, 0, longest), at::tensor(lengths, at::kLong)};
    if (!own.front().defined()) return;
    const Tensor given = at::zeros({static_cast<std::int64_t>(units.size()), longest, own.front().size(-1)});
    for (std::size_t u = 0; u < units.size(); ++u)
      given[static_cast<std::int64_t>(u)].narrow(0, 0, lengths[u]).copy_(own[u]);
    if (const auto site = std::ranges::find(sites, side, &LayerSite::stack); site != sites.end())
      states = {site->block, given};
    else
      embeddings = given;
  };
  fill(Side::target, pass.target, pass.target_embeddings, pass.target_states);
  fill(Side::source, pass.source, pass.source_embeddings, pass.source_states);
  return pass;
}

Tensor ProblemState::positions_of(const std::vector<Unit>& units, std::int64_t first_step, std::int64_t steps,
                                  const Tensor& active) const {
  const Tensor sequence = sequences_of(units);
  const Tensor asked = read_positions.index_select(0, sequence).narrow(1, first_step * reads, steps * reads);
  Tensor wanted = asked >= first_rows_of(units).unsqueeze(1);
  if (active.defined())
    wanted =
        wanted.logical_and(active.index_select(0, sequence).narrow(1, first_step, steps).repeat_interleave(reads, 1));
  return at::where(wanted, asked, kNoStep);
}

Tensor ProblemState::shares_of(const ScoredPass& pass) const {
  return shares_.index_select(0, sequences_of(pass.units)).narrow(1, pass.first_step * reads, pass.positions.size(1));
}

void ProblemState::require_single_steps(const std::string& what) const {
  for (const Sequence& sequence : sequences)
    if (!sequence.step_spans.empty())
      throw ConfigError(name_of(sequence) + ": spans of steps are explained as one, but " + what +
                        " are of single steps; explain every step by itself, or choose a method of gradients or " +
                        "perturbations");
}

Tensor ProblemState::score_pass(const Tensor& logits, const ScoredPass& pass, const Forward* contrast) {
  return scoring_.of_steps(scoring_.row_scores(score, StepRole::attributed, logits, pass, contrast), pass);
}

std::vector<Unit> ProblemState::whole() const {
  std::vector<Unit> units;
  for (std::int64_t b = 0; b < batch(); ++b) units.push_back({b, 0, 0});
  return units;
}

void ProblemState::remember(const std::vector<Unit>& units, const Tensor& logits, const Tensor& row_scores) {
  if (!base_row_scores_.defined()) {
    base_row_scores_ = at::zeros(read_positions.sizes());
    const std::int64_t vocabulary = logits.size(2);
    if (read_positions.numel() * vocabulary * kFloat <= plan().cache())
      base_logits_ = at::empty({batch(), read_positions.size(1), vocabulary});
  }
  for (std::size_t u = 0; u < units.size(); ++u) {
    const std::int64_t b = units[u].sequence, row = static_cast<std::int64_t>(u);
    known_[static_cast<std::size_t>(b)] = true;
    base_row_scores_[b].copy_(row_scores[row]);
    if (base_logits_.defined()) base_logits_[b].copy_(logits[row]);
  }
}

void ProblemState::score_and_remember(const Tensor& logits, const ScoredPass& pass) {
  remember(pass.units, logits, scoring_.row_scores(score, StepRole::attributed, logits, pass));
}

Tensor ProblemState::base_scores() {
  return scoring_.of_steps(base_row_scores(), {whole(), inputs, 0, read_positions});
}

const Tensor& ProblemState::base_row_scores() {
  std::vector<Unit> unknown;
  for (const Unit& unit : whole())
    if (!known_[static_cast<std::size_t>(unit.sequence)]) unknown.push_back(unit);
  plan().require({plan().demand(unknown, {.steps = steps()}, held())});
  for (const Pass& pass : plan().passes(unknown, {.steps = steps()}, held())) {
    const Tensor asked = positions_of(pass.units, 0, steps());
    const Inputs texts = inputs_of(pass.units);
    const Forward forward = model.forward(texts, {.positions = asked});
    score_and_remember(forward.logits, {pass.units, texts, 0, asked});
  }
  return base_row_scores_;
}

Tensor ProblemState::scores(const StepFunction& function, StepRole role) {
  return scoring_.of_steps(row_scores(function, role), {whole(), inputs, 0, read_positions});
}

Tensor ProblemState::row_scores(const StepFunction& function, StepRole role) {
  if (&function == &score) return base_row_scores();
  scoring_.prepare(function, role);
  base_row_scores();
  const std::vector<Unit> all = whole();
  if (base_logits_.defined() && scoring_.needs_logits_alone(function, role))
    return scoring_.row_scores(function, role, base_logits_, {all, inputs, 0, read_positions});
  drop_prefix();
  Tensor result = at::empty(read_positions.sizes());
  const PassPlan plan = plan_for(function, role);
  const PassKind kind{.steps = steps()};
  plan.require({plan.demand(all, kind, held())});
  for (const Pass& pass : plan.passes(all, kind, held())) {
    const Tensor asked = positions_of(pass.units, 0, steps());
    const Inputs texts = inputs_of(pass.units);
    const Forward forward = model.forward(texts, {.positions = asked});
    result.index_copy_(0, sequences_of(pass.units),
                       scoring_.row_scores(function, role, forward.logits, {pass.units, texts, 0, asked}));
  }
  return result;
}

Tensor ProblemState::scores(const Nodes& nodes) {
  drop_prefix();
  const auto count = static_cast<std::int64_t>(nodes.alphas.size());
  Tensor result = at::empty({count, batch(), steps()});
  std::vector<Unit> units;
  for (std::int64_t k = 0; k < count; ++k) {
    if (nodes.alphas[static_cast<std::size_t>(k)] == 1.0) {
      result[k].copy_(base_scores());
      continue;
    }
    for (std::int64_t b = 0; b < batch(); ++b) units.push_back({b, k, 0});
  }
  const auto rows = [&](const Unit& unit, Side side) -> Tensor {
    const std::int64_t length = rows_of(side, unit.sequence);
    const Tensor end = embedding(side)[unit.sequence].narrow(0, 0, length);
    if (!attributes(side)) return end;
    const Tensor start = baseline(side)[unit.sequence].narrow(0, 0, length);
    return start + nodes.alphas[static_cast<std::size_t>(unit.copy)] * (end - start);
  };
  for (const Side side : {Side::source, Side::target}) baseline(side), embedding(side);
  score_copies(units, rows, result);
  return result;
}

Tensor ProblemState::scores(const Points& points) {
  drop_prefix();
  Tensor result = at::empty({points.count, batch(), steps()});
  std::vector<Unit> units;
  for (std::int64_t k = 0; k < points.count; ++k)
    for (std::int64_t b = 0; b < batch(); ++b) units.push_back({b, k, 0});
  for (const Side side : {Side::source, Side::target}) embedding(side);
  score_copies(
      units, [&](const Unit& unit, Side side) { return rows_at(points, unit.sequence, side, unit.copy); }, result);
  return result;
}

Tensor ProblemState::rows_at(const Points& points, std::int64_t sequence, Side side, std::int64_t point) {
  const std::int64_t length = rows_of(side, sequence);
  if (attributes(side)) return points.rows({sequence, side, point}).narrow(0, 0, length);
  return embedding(side)[sequence].narrow(0, 0, length);
}

void ProblemState::score_copies(const std::vector<Unit>& units, const RowsOf& rows, Tensor& result) {
  const PassKind kind{.steps = steps(), .embeddings = true};
  plan().require({plan().demand(units, kind, held())});
  Meter meter(*this, static_cast<std::int64_t>(units.size()));
  for (const Pass& pass : plan().passes(units, kind, held())) {
    const Tensor asked = positions_of(pass.units, 0, steps());
    const Inputs texts = inputs_of(pass.units, rows);
    const Forward forward = model.forward(texts, {.positions = asked});
    const Tensor scores = score_pass(forward.logits, {pass.units, texts, 0, asked});
    for (std::size_t u = 0; u < pass.units.size(); ++u)
      result[pass.units[u].copy][pass.units[u].sequence].copy_(scores[static_cast<std::int64_t>(u)]);
    meter.add(pass.units.size());
  }
}

std::vector<std::vector<Unit>> ProblemState::prefix_groups() const {
  std::vector<std::vector<Unit>> groups;
  for (const Pass& pass : plan().passes(whole(), {.steps = steps(), .keep_prefix = true}, held())) {
    std::int64_t bytes = 0;
    for (const Unit& unit : pass.units) {
      const std::int64_t more = plan().prefix_bytes(unit.sequence);
      if (&unit == &pass.units.front() || bytes + more > plan().share()) {
        groups.emplace_back();
        bytes = 0;
      }
      groups.back().push_back(unit);
      bytes += more;
    }
  }
  return groups;
}

std::shared_ptr<const ProblemState::Prefix> ProblemState::prefix_of(const std::vector<Unit>& group) {
  if (prefix_) {
    const auto here = [&](const Unit& unit) { return prefix_->place[static_cast<std::size_t>(unit.sequence)] >= 0; };
    if (std::all_of(group.begin(), group.end(), here)) return prefix_;
  }
  drop_prefix();
  auto prefix = std::make_shared<Prefix>();
  prefix->place.assign(sequences.size(), -1);
  for (std::size_t u = 0; u < group.size(); ++u) {
    prefix->place[static_cast<std::size_t>(group[u].sequence)] = static_cast<std::int64_t>(u);
    prefix->bytes += plan().prefix_bytes(group[u].sequence);
  }
  const bool known = std::all_of(group.begin(), group.end(),
                                 [&](const Unit& unit) { return known_[static_cast<std::size_t>(unit.sequence)]; });
  const auto texts = static_cast<std::int64_t>(group.size());
  const Tensor asked = known ? at::full({texts, 1}, kNoStep, at::kLong) : positions_of(group, 0, steps());
  const Inputs texts_of_group = inputs_of(group);
  prefix->forward = model.forward(texts_of_group, {.positions = asked, .keep_prefix = true});
  if (!known) score_and_remember(prefix->forward.logits, {group, texts_of_group, 0, asked});
  prefix->forward.logits.reset();
  if (group.size() == sequences.size()) prefix_ = prefix;
  return prefix;
}

SharedPrefix ProblemState::shared(const Prefix& prefix, const std::vector<Unit>& units) {
  std::vector<std::int64_t> places;
  for (const Unit& unit : units) places.push_back(prefix.place[static_cast<std::size_t>(unit.sequence)]);
  return {&prefix.forward, at::tensor(places, at::kLong), first_rows_of(units)};
}

Forward ProblemState::observe(const ObserveRequest& request) {
  require_single_steps("attention weights and layer states");
  drop_prefix();
  const std::vector<Unit> all = whole();
  Forward forward = model.forward(
      inputs, {.positions = positions, .attentions = request.attentions, .layer_states = request.layer_states});
  if (std::find(known_.begin(), known_.end(), false) != known_.end())
    score_and_remember(forward.logits, {all, inputs, 0, positions});
  return forward;
}

void ProblemState::Meter::add(std::size_t units) {
  done_ += static_cast<std::int64_t>(units);
  if (state_.options.progress) state_.options.progress(done_, total_);
}

}  // namespace whence
