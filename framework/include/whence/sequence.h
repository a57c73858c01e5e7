#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "whence/label.h"
#include "whence/span.h"

namespace whence {

/// A token as it is shown and stored. Ids of merged or contrasted tokens are -1.
struct Token {
  std::string text;  ///< raw vocabulary entry, e.g. "Ġhome"
  std::int64_t id = -1;

  bool operator==(const Token&) const = default;
};

/// A tokenised text pair. Decoder-only models have no source: their target is prompt + continuation.
struct Sequence {
  std::string id;  ///< stable name within a run; keys randomness, so results don't depend on batch or order
  std::vector<Token> source;
  std::vector<Token> target;
  std::vector<Label> source_labels, target_labels;
  Span steps;  ///< explained target positions, [attr_pos_start, attr_pos_end)
};

}  // namespace whence
