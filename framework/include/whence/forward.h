#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "whence/batch.h"
#include "whence/export.h"
#include "whence/layer_site.h"
#include "whence/tensor.h"

namespace whence {

class Model;

/// Model-private state that `Model::pull_back` needs; freed with the Forward that holds it.
class WHENCE_API Trace {
 public:
  /// `owner` is the model whose `forward` makes the trace, and the only one that can pull it back.
  explicit Trace(const Model& owner) : owner_(&owner) {}
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  virtual ~Trace();

  bool belongs_to(const Model& model) const { return owner_ == &model; }

 private:
  const Model* owner_;
};

struct Forward;

/// What the texts of a pass have in common with those of an earlier one. Rows before `first_changed` are the same, so
/// their keys and values are taken from there and they are not computed again; they have neither logits nor captures.
/// So are those of the source of an encoder-decoder, which is the same as a whole and has no gradients in such a pass.
struct SharedPrefix {
  const Forward* base = nullptr;  ///< of the same model, made with `keep_prefix`; outlives the pass and its trace
  Tensor sequences;               ///< [B] int64: which text of the base each text begins like
  Tensor first_changed;           ///< [B] int64: the first row that may differ; at most the length of either text - 1

  explicit operator bool() const { return base != nullptr; }
};

/// Dropout as in training, with the probabilities of the checkpoint. A mask depends on the seed, the sample, the name
/// of the sequence, the layer and the position alone.
struct Dropout {
  static constexpr std::string_view kCapability = "dropout/1";  ///< offered by a model whose checkpoint has any

  std::uint64_t seed = 0;
  std::int64_t sample = 0;
  std::vector<std::string> sequence_ids;  ///< one for each text; empty: no dropout
};

struct ForwardRequest {
  /// [B,T] int64 target positions whose next-token logits are wanted; -1 asks for nothing (that row of logits is zero).
  Tensor positions;
  bool attentions = false;    ///< capture attention weights of every layer
  bool layer_states = false;  ///< capture the input of every block and the output of the final norm
  bool trace = false;         ///< keep what `pull_back` needs
  bool keep_prefix = false;   ///< keep keys and values, so that later passes can share rows of this one
  SharedPrefix shared;        ///< not together with captures
  /// Capture the states at these places, of the rows that are computed; none before the block that a stack begins at.
  std::vector<LayerSite> sites;
  Dropout dropout;  ///< only together with positions; ConfigError of a model that doesn't offer it
};

struct Forward {
  Tensor logits;                     ///< [B,T,V] float32
  Tensor target_attentions;          ///< [B,N,H,L,L] query, key, zero where there is padding; defined if asked
  Tensor source_attentions;          ///< [B,N,H,S,S] encoder self-attention
  Tensor cross_attentions;           ///< [B,N,H,L,S]
  std::vector<Tensor> layer_states;  ///< N + 1 tensors [B,L,D]; the last is after the final norm
  std::vector<Tensor> states;        ///< one [B,L,D] or [B,S,D] for each site asked for
  std::unique_ptr<Trace> trace;
};

/// d score_t / d logits_t for every step at once: steps don't share rows of logits.
struct Cotangents {
  Tensor logits;  ///< [B,T',V], of the steps [first_step, first_step + T') of the forward
  std::int64_t first_step = 0;
  /// So many neighbouring steps, a divisor of T', make one score: their cotangents are carried as one, and gradients
  /// have T' / together steps.
  std::int64_t together = 1;
};

/// How one kind of operation hands its cotangents down, instead of by its derivative.
struct BackwardRule {
  std::string operation;  ///< "norm", "activation", "softmax", "attention_product", "gate_product"
  std::string rule;       ///< "frozen", "deeplift", "scaled", "tempered"; "gradient" is what holds without a rule
  /// Of "scaled": every branch of the product hands this times its derivative down. Of "tempered": T, where the
  /// Jacobian of a softmax is taken at its scores / T.
  double factor = 1;
};

/// Weights of one attention and what the score of one step would gain by more of each: rows of `queries` look at those
/// of `keys`, which are of the same side, or of the source in a decoder's cross attention.
struct AttentionGradient {
  Side queries = Side::target, keys = Side::target;
  std::int64_t layer = 0;  ///< of the stack of the queries
  std::int64_t sequence = 0, step = 0;
  Tensor weights;    ///< [H,rows,keys]; of a target the rows up to the one that the step is read at
  Tensor gradients;  ///< [H,rows,keys]; means nothing where a row does not look
};

struct PullBackRequest {
  bool source = false;  ///< gradients at the source embeddings too (encoder-decoder)
  bool target = true;   ///< gradients at the target embeddings
  /// Of a forward with a shared prefix: gradients at the first changed row of each text alone, [B,1,T,D].
  bool first_changed_only = false;
  /// Where gradients are wanted beside those of the embeddings, all from the same sweep. It ends at the lowest of them
  /// when those of the embeddings are not wanted, and then the source has only what comes from there on: states of the
  /// decoder are no function of it.
  std::vector<LayerSite> layers;
  /// At most one for each operation. A name that a model doesn't know is an UnknownName; a rule that no operation of
  /// the model was there for is a ConfigError.
  std::vector<BackwardRule> rules;
  /// Traced pass over the reference inputs of "deeplift", with the same lengths and steps.
  const Forward* reference = nullptr;
  /// Is shown every attention for every step, from the last layer down: of a decoder's block cross attention first, an
  /// encoder's blocks after the decoder's. Not together with a shared prefix.
  std::function<void(const AttentionGradient&)> attentions;
};

/// Per-step gradients; entry [b,l,t] is d score of step t / d embedding of position l.
struct Gradients {
  Tensor source;               ///< [B,S,T,D] or undefined
  Tensor target;               ///< [B,L,T,D] or undefined; zero where position l cannot influence step t
  std::vector<Tensor> layers;  ///< one [B,L,T,D] or [B,S,T,D] for each layer asked for
};

}  // namespace whence
