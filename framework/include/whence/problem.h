#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/block_decomposition.h"
#include "whence/export.h"
#include "whence/forward.h"
#include "whence/model.h"
#include "whence/points.h"
#include "whence/progress.h"
#include "whence/random.h"
#include "whence/sequence.h"
#include "whence/step_function.h"
#include "whence/variants.h"

namespace whence {

class HiddenReduction;
class ProblemState;

/// Evaluation points on the straight path from the baseline (alpha 0) to the input (alpha 1), and their weights. All
/// attributed sides move together. The default is the input itself.
struct Nodes {
  std::vector<double> alphas{1.0};
  std::vector<double> weights{1.0};
};

/// A quadrature along the straight path from the baseline to the input.
struct Path {
  /// A nested rule: each level holds only the nodes that it adds, and with it the weights of all earlier levels count
  /// half. The weights of the first level are those of its rule; those of every other level sum to half of that.
  std::vector<Nodes> levels{Nodes{}};
  /// Above 0: a step takes part in further levels until its error estimate is at most this. 0: every level counts.
  double tolerance = 0;
  /// One path for each position, along which its row alone moves while the others stay at the input; what is integrated
  /// is the gradient at that row.
  bool one_position = false;
};

/// What the gradient of each row is multiplied by.
enum class Multiply { nothing, input, input_minus_baseline };

struct GradientRequest {
  Multiply multiply = Multiply::nothing;
  bool absolute = false;     ///< take absolute values, after everything but the reduction over hidden units
  bool keep_hidden = false;  ///< keep hidden units even where the problem reduces them, to go on computing with them
  /// Take gradients at the states of these layers in place of the embeddings, at most one of each side, whatever sides
  /// are attributed. All else then holds for these states: inputs, baselines (the states where the embeddings of these
  /// sides are at theirs) and paths, along which all of them move. D is the width of the hidden states.
  std::vector<LayerSite> layers;
  /// How operations hand their cotangents down. The reference of "deeplift" is a pass over the baseline.
  std::vector<BackwardRule> rules;
  bool gap = false;  ///< measure what the products lack; a path multiplied by input minus baseline always does
};

/// Gradients of every step. A side that is not attributed is undefined.
struct InputGradients {
  Tensor source;  ///< [B,S,T,D], or [B,S,T] when the problem reduces hidden units
  Tensor target;  ///< [B,L,T,D], or [B,L,T]
  /// Dims after T, {"hidden"} or {}: a method hands them on in Attribution::granularity.
  std::vector<std::string> granularity;
  /// [B,T]: sum of the attributions minus the difference of the scores at the input and at the baseline. Undefined
  /// unless asked for.
  Tensor gap;
};

/// The gap is undefined unless multiplied by input minus baseline; with `one_position` it is the sum over all paths.
struct PathIntegral : InputGradients {
  /// [B,T]: estimate of the relative error of the attributions of a step, from two halves a and b of the nodes, each
  /// weighed as a whole rule: sum_l |a_l - b_l| / 2 over sum_l |a_l + b_l| / 2, with one number for each token l, the
  /// norm over hidden units where they are kept. The halves are the levels before the last and the last one; of a
  /// single level every other node, in the order they are listed. Undefined for a single node.
  Tensor error;
  Tensor nodes;  ///< [B,T] float: how many nodes each step took
};

struct PointGradients : InputGradients {
  Tensor total;  ///< [B,T]: sum over all tokens and hidden units, before absolute values and reduction
  Tensor error;  ///< [B,T]: as PathIntegral::error; undefined for a single point, and for a variance
};

struct ObserveRequest {
  bool attentions = false;
  bool layer_states = false;
};

/// A batch of sequences, the steps to explain and the score to explain them by: all that a method needs. Where a
/// sequence has `step_spans`, a step of what follows is one of them: its score is the sum or mean of those of its
/// steps, of which each still sees nothing of its own token and of later ones. A problem owns the passes through the
/// model (how many variants, nodes and sequences share one), so that a method stays a formula. [thread: one] Tensors
/// are on the CPU, float32; rows and steps beyond a sequence's own hold zeros.
class WHENCE_API Problem {
 public:
  struct Options {
    bool attribute_target = true;   ///< always true for decoder-only models
    bool eos_baseline = false;      ///< replace EOS by the unknown token in baselines, too
    std::int64_t memory_bytes = 0;  ///< budget that weights and passes share; 0: a share of what is free
    std::uint64_t seed = 0;         ///< of everything that is drawn at random
    Progress progress;
    /// How gradients are reduced over hidden units as soon as they are computed; outlives the problem. Null: they are
    /// kept.
    const HiddenReduction* hidden_reduction = nullptr;
  };

  /// `model` and `score` outlive the problem. Each sequence is run up to its last explained token, so L and S are those
  /// of the longest cut sequence. Throws InputError for empty sequences, steps outside them, or texts longer than the
  /// model's context.
  Problem(const Model& model, const StepFunction& score, std::vector<Sequence> sequences, Options options);
  ~Problem();
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  const Model& model() const;
  const std::vector<Sequence>& sequences() const;
  /// Padded ids of the sequences, each cut after its last explained token: what a capability of the model runs on.
  const Inputs& inputs() const;
  /// B, L, S (0 without a source) and T of the padded batch.
  std::int64_t batch_size() const;
  std::int64_t length(Side side) const;
  std::int64_t steps() const;
  /// True when rows of this side are to be attributed.
  bool attributes(Side side) const;
  /// [B,T] bool: steps that exist.
  const Tensor& step_mask() const;
  /// [B,T] int64: position whose logits predict the token of the step (its target position - 1); -1 where there is no
  /// step. Of a span of steps that of the last one, which is the last row that its score depends on.
  const Tensor& predicting_positions() const;
  /// [B,L,D] or [B,S,D].
  const Tensor& embeddings(Side side) const;
  const Tensor& baseline_embeddings(Side side) const;
  /// [B,L] or [B,S] int64: the tokens of the baseline.
  const Tensor& baseline_ids(Side side) const;

  /// Random numbers of one sequence (its place in the batch), that depend on the seed of the experiment and on what is
  /// named here alone. `purpose` is the name of the method, and what it draws where that is several things.
  RandomStream random(std::int64_t sequence, std::string_view purpose, std::int64_t sample = 0) const;

  /// Score of every step of the sequences as they are: [B,T].
  Tensor scores() const;
  /// The same under another step function, from the same pass: [B,T].
  Tensor scores(const StepFunction& function) const;
  /// Score at points of the straight path from baseline to input: [K,B,T].
  Tensor scores(const Nodes& nodes) const;
  /// Score at points of the method's own, whose weight, factor and moment play no part: [K,B,T].
  Tensor scores(const Points& points) const;
  /// Score of every step of every variant: [P,B,T]. Variants share passes, and rows with the sequences as they are.
  /// Throws ConfigError for Removal::mask where the model cannot mask its attention.
  Tensor scores(const Variants& variants) const;
  /// The same under another step function.
  Tensor scores(const Variants& variants, const StepFunction& function) const;
  /// d score_t / d embedding at the input, then multiplied, made absolute and reduced as asked. Throws ConfigError when
  /// the score is not differentiable.
  InputGradients gradients(const GradientRequest& request = {}) const;
  /// A moment of the gradients at points of the method's own, each multiplied by its factor; then multiplied, made
  /// absolute and reduced as asked.
  PointGradients gradients(const Points& points, const GradientRequest& request = {}) const;
  /// The same at the states between all blocks, from one backward: [B,L,T,N+1], or with hidden units [B,L,T,N+1,D];
  /// granularity {"layer_state"} or {"layer_state", "hidden"}. The first are what goes into the first block, the last
  /// what comes out of the last one. Multiplies by nothing or by the input; no layers, no gap.
  InputGradients layer_gradients(const GradientRequest& request = {}) const;
  /// sum_k weight_k * d score_t / d embedding at node k of the path; the rest as for `gradients`.
  PathIntegral integrate(const Path& path, const GradientRequest& request = {}) const;
  /// True when gradients are reduced to the plain sum over hidden units. A method that asks returns such sums, one for
  /// each token, in whatever way it comes by them.
  bool sums_hidden_units() const;
  /// True once gradients were reduced over hidden units, or a method learned that sums are wanted.
  bool reduced_hidden_units() const;
  /// True once a path was integrated whose steps may stop early, so that less may be done than its levels hold.
  bool may_stop_early() const;
  /// Attentions and layer states of one pass over the sequences as they are; logits at the steps come with it. This and
  /// what follows is about single steps: ConfigError where spans of steps are explained.
  Forward observe(const ObserveRequest& request) const;

  /// Shows every block of the model in parts over every sequence, cut behind its last predicting row; see
  /// BlockDecomposition. `method` is who asks. Throws ModelError when the model cannot take its blocks apart.
  void decompose(const std::string& method, bool weights_only, const BlockDecomposition::Visitor& visit) const;
  /// Which way the score of every step points in the stream, see there. Throws ConfigError when it is not
  /// differentiable, ModelError as above.
  StreamDirections directions(const std::string& method) const;
  /// Gradients of the scores at the weights of all attentions, see PullBackRequest::attentions.
  void attention_gradients(const std::function<void(const AttentionGradient&)>& visit) const;

  /// What the model has done since the problem was made.
  Work cost() const;

 private:
  std::unique_ptr<ProblemState> state_;
};

}  // namespace whence
