#pragma once

#include <functional>
#include <optional>

#include "pass_plan.h"
#include "step_scoring.h"
#include "whence/problem.h"

namespace whence {

class Leaves;

/// Sequence of every unit, [U].
Tensor sequences_of(const std::vector<Unit>& units);

/// Everything behind a Problem: its texts, what is known of them, and how passes over them are made.
class ProblemState {
 public:
  ProblemState(const Model& model, const StepFunction& score, std::vector<Sequence> sequences,
               Problem::Options options);
  ~ProblemState();

  const Model& model;
  const StepFunction& score;
  const std::vector<Sequence> sequences;
  const Problem::Options options;
  Inputs inputs;                          ///< ids alone
  Tensor positions, step_mask;            ///< [B,T]
  std::int64_t reads = 1;                 ///< rows that a step reads: the steps of the longest span that is explained
  Tensor read_positions, step_ids;        ///< [B,R], R = T * reads; -1 and 0 where a step reads fewer rows
  std::vector<std::int64_t> rows;         ///< of each target, up to the last one that a step reads
  std::vector<PassPlan::Rows> pass_rows;  ///< of each sequence, both sides
  const Work work_before;
  bool reduced_hidden = false;
  bool may_stop_early = false;

  std::int64_t batch() const { return inputs.target.ids.size(0); }
  std::int64_t steps() const { return positions.size(1); }
  const PaddedIds& ids(Side side) const { return side == Side::source ? inputs.source : inputs.target; }
  std::int64_t length(Side side) const { return ids(side).defined() ? ids(side).ids.size(1) : 0; }
  /// Rows of a sequence that passes compute.
  std::int64_t rows_of(Side side, std::int64_t sequence) const;
  /// Column of the first step of a sequence that reads a row or a later one.
  std::int64_t first_step_after(std::int64_t sequence, std::int64_t row) const;
  bool attributes(Side side) const;
  const Tensor& embedding(Side side);
  const Tensor& baseline(Side side);
  const Tensor& baseline_ids(Side side);
  /// [B,L] or [B,S] bool: tokens that the baseline replaces by others.
  const Tensor& replaced(Side side);
  /// [D]: mean embedding of the vocabulary of a side.
  const Tensor& mean_row(Side side);

  /// Passes that are scored by the problem's score.
  const PassPlan& plan() const { return *plan_; }
  /// Those that are scored by another function, which may need more beside.
  PassPlan plan_for(const StepFunction& function, StepRole role);
  /// Bytes that are held between passes, a prefix not counted.
  std::int64_t held() const;
  /// Whether later passes may take rows of earlier ones.
  bool shares_prefixes() const { return model.info().pass_bytes.prefix_row > 0; }

  /// Rows of one text as embeddings, [rows,D]; as many as the text then has.
  using RowsOf = std::function<Tensor(const Unit&, Side)>;
  /// Texts of a pass; without `rows`, or on a side of which it returns none, as they are. On the side of a site `rows`
  /// are states there.
  Inputs inputs_of(const std::vector<Unit>& units, const RowsOf& rows = {}, const std::vector<LayerSite>& sites = {});
  /// Those of a request at `sites`; kept until others are asked for.
  Leaves& leaves(const std::vector<LayerSite>& sites);
  /// [U,R'] of some steps: -1 where a step reads a row that is not computed, or where `active` [B,T] is false.
  Tensor positions_of(const std::vector<Unit>& units, std::int64_t first_step, std::int64_t steps,
                      const Tensor& active = {}) const;
  StepScoring& scoring() { return scoring_; }
  /// [U,R']: what the score of each row counts in that of its step.
  Tensor shares_of(const ScoredPass& pass) const;
  /// Throws ConfigError where spans of steps are explained: `what` is about single steps.
  void require_single_steps(const std::string& what) const;
  /// Scores [U,T'] of the steps of a pass, see StepScoring::row_scores.
  Tensor score_pass(const Tensor& logits, const ScoredPass& pass, const Forward* contrast = nullptr);

  /// Units of all sequences as they are.
  std::vector<Unit> whole() const;
  /// Scores of the sequences as they are, [B,T], from logits if they are remembered.
  Tensor scores(const StepFunction& function, StepRole role);
  /// Those of the rows that are read, [B,R].
  Tensor row_scores(const StepFunction& function, StepRole role);
  Tensor base_scores();
  const Tensor& base_row_scores();
  /// Those that were found so far, [B,R].
  const Tensor& known_row_scores() const { return base_row_scores_; }
  /// Takes what a pass over unchanged sequences found.
  void remember(const std::vector<Unit>& units, const Tensor& logits, const Tensor& row_scores);
  /// The same of a pass that was not scored yet.
  void score_and_remember(const Tensor& logits, const ScoredPass& pass);
  Tensor scores(const Nodes& nodes);
  Tensor scores(const Points& points);
  /// Rows of one side of a sequence at a point, [rows,D]; those of a side that is not attributed stay.
  Tensor rows_at(const Points& points, std::int64_t sequence, Side side, std::int64_t point);
  /// One pass over the whole sequences.
  Forward observe(const ObserveRequest& request);

  /// Every block in parts, and directions of the score in the stream; see Problem.
  void decompose(const std::string& method, bool weights_only, const BlockDecomposition::Visitor& visit);
  StreamDirections directions(const std::string& method);

  /// A pass over unchanged sequences whose rows later passes share.
  struct Prefix {
    Forward forward;
    std::vector<std::int64_t> place;  ///< of each sequence in the pass; -1: not in it
    std::int64_t bytes = 0;
  };
  /// Sequences whose prefixes may be held together, in order.
  std::vector<std::vector<Unit>> prefix_groups() const;
  /// The prefix of a group; kept until a request that has no use for it if the group is all there is.
  std::shared_ptr<const Prefix> prefix_of(const std::vector<Unit>& group);
  void drop_prefix() { prefix_.reset(); }
  /// What passes over these units take from a prefix.
  static SharedPrefix shared(const Prefix& prefix, const std::vector<Unit>& units);

  /// Counts units of a request for progress.
  class Meter {
   public:
    Meter(const ProblemState& state, std::int64_t total) : state_(state), total_(total) {}
    void add(std::size_t units);

   private:
    const ProblemState& state_;
    std::int64_t total_, done_ = 0;
  };

 private:
  Tensor make_baseline_ids(Side side) const;
  /// Runs copies of the sequences with other rows and stores their scores in `result` [K,B,T], by Unit::copy.
  void score_copies(const std::vector<Unit>& units, const RowsOf& rows, Tensor& result);
  const BlockDecomposition& decomposition(const std::string& method) const;

  StepScoring scoring_;
  std::optional<PassPlan> plan_;
  Tensor embeddings_[2], baselines_[2], baseline_ids_[2], replaced_[2],
      mean_rows_[2];                      ///< by Side; made when asked for
  Tensor shares_;                         ///< [B,R], 0 where no row is read
  Tensor base_row_scores_, base_logits_;  ///< [B,R], [B,R,V] if they are small enough
  std::vector<bool> known_;               ///< sequences whose base scores were found
  std::shared_ptr<const Prefix> prefix_;
  std::unique_ptr<Leaves> leaves_;
};

}  // namespace whence
