#pragma once

#include "problem_state.h"

namespace whence {

/// Scores of perturbed copies of the texts of a problem: which rows of each differ, and what stands there.
class VariantScores {
 public:
  VariantScores(ProblemState& state, const Variants& variants, const StepFunction& function);

  /// [P,B,T]
  Tensor run();

 private:
  /// What is left of one side of a text from which tokens are erased.
  struct Rest {
    std::vector<std::int64_t> rows;  ///< positions; kStart for the token that stands in for an empty beginning
    std::vector<std::int64_t> read;  ///< row of the rest that each step of the text reads
  };

  bool uses(Removal removal) const;
  Removal removal(std::int64_t variant) const;
  /// Marks of one variant of a text, or null.
  const bool* marks(Side side, std::int64_t variant, std::int64_t sequence) const;
  /// The first row that becomes another one; -1: there is none.
  std::int64_t first_change(Side side, std::int64_t variant, std::int64_t sequence) const;
  bool changes(Side side, std::int64_t variant, std::int64_t sequence, std::int64_t row) const;
  Rest rest(Side side, std::int64_t variant, std::int64_t sequence) const;
  bool shares(std::int64_t variant) const;
  /// The variants of a text that some step sees changed. One with another source, or whose rows depend on its length,
  /// shares nothing with the text as it is.
  struct Changed {
    std::vector<Unit> sharing, whole;

    std::int64_t size() const { return std::ssize(sharing) + std::ssize(whole); }
  };
  Changed units(std::int64_t sequence) const;
  /// Embeddings [rows,D] of one side of a variant.
  Tensor rows(const Unit& unit, Side side);
  Tensor start_row(Side side);
  PassKind kind(bool shared) const;
  /// `unchanged` [B,R] are the scores of rows of the texts as they are.
  void run(const std::vector<Unit>& units, const ProblemState::Prefix* prefix, std::int64_t beside,
           const Tensor& unchanged, ProblemState::Meter& meter, Tensor& result);
  /// Positions [U,R'] that the steps of a pass read.
  Tensor asked(const Pass& pass) const;
  Inputs inputs(const Pass& pass);

  ProblemState& state_;
  const Variants& variants_;
  const StepFunction& function_;
  const PassPlan plan_;
  std::int64_t count_ = 0;
  Tensor masks_[2], ids_[2];  ///< by Side, contiguous: [P,B or 1,rows], [P,B,rows]
};

}  // namespace whence
