#pragma once

#include <vector>

#include "pass_plan.h"
#include "whence/batch.h"
#include "whence/export.h"
#include "whence/layer_site.h"
#include "whence/model.h"
#include "whence/sequence.h"

namespace whence {

/// Throws InputError for a sequence without a contrast, for one that doesn't fit it, and for one that doesn't give the
/// sides that the contrast of `first` gives.
WHENCE_API void check_contrast(const Sequence& sequence, const Sequence& first, const ModelInfo& model);

/// The texts that the sequences of a problem are compared with.
class ContrastTexts {
 public:
  /// `step_ids` [B,R] are the tokens of the steps, `positions` [B,R] the rows of the sequences that predict them, -1
  /// where there is none. Throws InputError, see `check_contrast`.
  ContrastTexts(const ModelInfo& model, const std::vector<Sequence>& sequences, const Tensor& step_ids,
                const Tensor& positions);

  /// [B,T]: the contrastive tokens.
  const Tensor& ids() const { return ids_; }
  /// True when the contrasts have a side of their own.
  bool gives(Side side) const { return sides_[static_cast<int>(side)].defined(); }
  /// True when a change at this place of the sequences is one of the contrastive texts, too: on a side that these don't
  /// give. Behind a decoder's first block either side plays a part, so nothing is shared there.
  bool shares(const LayerSite& site) const { return !gives(site.stack) && (site.stack == Side::source || !site.block); }
  /// Rows of the contrastive texts, where those of the sequences are `own`.
  std::vector<PassPlan::Rows> rows(const std::vector<PassPlan::Rows>& own) const;

  /// What passes over the contrastive texts of some sequences [U] run on, beside one that runs on `own`: a side that
  /// they don't give is that of the pass, changed rows included.
  Inputs inputs_of(const Tensor& sequences, const Inputs& own) const;
  /// [U,T'] where contrastive tokens are predicted, of steps that the pass itself reads at `own`; -1 as there.
  Tensor positions_of(const Tensor& sequences, std::int64_t first_step, const Tensor& own) const;

 private:
  Tensor ids_, positions_;
  PaddedIds sides_[2];  ///< by Side: the rows that a pass computes; undefined: not given
};

}  // namespace whence
