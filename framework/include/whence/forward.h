#pragma once

#include <memory>
#include <string>
#include <vector>

#include "whence/export.h"
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

struct ForwardRequest {
  /// [B,T] int64 target positions whose next-token logits are wanted; -1 asks for nothing (that row of logits is zero).
  Tensor positions;
  bool attentions = false;    ///< capture attention weights of every layer
  bool layer_states = false;  ///< capture the input of every block and the output of the final norm
  bool trace = false;         ///< keep what `pull_back` needs
};

struct Forward {
  Tensor logits;                     ///< [B,T,V] float32
  Tensor target_attentions;          ///< [B,N,H,L,L] query, key; defined if asked
  Tensor source_attentions;          ///< [B,N,H,S,S] encoder self-attention
  Tensor cross_attentions;           ///< [B,N,H,L,S]
  std::vector<Tensor> layer_states;  ///< N + 1 tensors [B,L,D]; the last is after the final norm
  std::unique_ptr<Trace> trace;
};

/// d score_t / d logits_t for every step at once: steps don't share rows of logits.
struct Cotangents {
  Tensor logits;  ///< [B,T,V]
};

struct PullBackRequest {
  bool source = false;  ///< gradients at the source embeddings too (encoder-decoder)
  bool target = true;   ///< gradients at the target embeddings
  /// Name of the backward rule, by which operations hand their cotangents down. Every model knows "gradient", the
  /// derivative; a name that a model doesn't know is an UnknownName of the kind "backward rule".
  std::string rule = "gradient";
};

/// Per-step gradients; entry [b,l,t] is d score of step t / d embedding of position l.
struct Gradients {
  Tensor source;  ///< [B,S,T,D] or undefined
  Tensor target;  ///< [B,L,T,D] or undefined; zero where position l cannot influence step t
};

}  // namespace whence
