#pragma once

#include "decoder.h"
#include "next_token_scorer.h"

namespace whence::transformer {

/// Runs growing texts through a decoder: new tokens only, where the cached keys and values of a text stay valid.
class CachedDecoder final : public NextTokenScorer {
 public:
  /// `source`: keys and values of the sources of all sequences, of a decoder that looks at one; else null.
  CachedDecoder(const Decoder<float>& decoder, const KeyValues* source) : decoder_(decoder), source_(source) {}

  Tensor next_logits(const std::vector<OpenText>& texts) override;

 private:
  /// The caches of the texts' parents, one for each text.
  std::vector<KeyValues> inherit(const std::vector<OpenText>& texts);
  /// Logits of some of the texts, after one pass over what is new of them.
  Tensor run(const std::vector<OpenText>& texts, const std::vector<std::size_t>& chosen);

  const Decoder<float>& decoder_;
  const KeyValues* source_;
  std::vector<KeyValues> caches_;  ///< of the texts of the last call, each alone
};

}  // namespace whence::transformer
