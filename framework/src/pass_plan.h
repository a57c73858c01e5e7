#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "whence/model.h"

namespace whence {

/// What the passes of a model take; guesses by its hidden size stand in for what it doesn't say.
inline PassBytes pass_bytes(const ModelInfo& model) {
  constexpr std::int64_t kForwardStates = 16, kCotangentStates = 2;
  const std::int64_t state = model.hidden * static_cast<std::int64_t>(sizeof(float));
  PassBytes bytes = model.pass_bytes;
  if (bytes.forward_row == 0) bytes.forward_row = kForwardStates * state;
  if (bytes.cotangent_row == 0) bytes.cotangent_row = kCotangentStates * state;
  if (bytes.zeroed_row == 0) bytes.zeroed_row = bytes.forward_row;
  return bytes;
}

/// One text of a pass: a copy of a sequence of which the rows from `first_row` on are computed.
struct Unit {
  std::int64_t sequence = 0;
  std::int64_t copy = 0;  ///< which node, variant or position, as the caller counts them
  std::int64_t first_row = 0;
  std::int64_t first_step = 0;  ///< column of the first step that reads such a row
};

/// What a pass is made for.
struct PassKind {
  std::int64_t first_step = 0, steps = 0;  ///< columns of steps that are served, as far as a unit has them
  bool embeddings = false;                 ///< rows are given as embeddings, not as ids
  bool trace = false;                      ///< gradients of the steps follow
  bool keep_prefix = false;                ///< later passes share its rows
  bool shared = false;                     ///< rows before the first computed one, and sources, are those of another
  bool first_row_only = false;             ///< gradients at the first computed row of each text alone
  bool parts = false;                      ///< one block of one text is shown in parts
  bool attentions = false;                 ///< attention weights of one block and one text are shown
  bool reference = false;                  ///< a second traced pass lies beside
  std::int64_t places = 1;                 ///< where gradients are held at a time, e.g. layers
};

/// Texts that go through the model together.
struct Pass {
  std::vector<Unit> units;
  std::int64_t first_step = 0, steps = 0;  ///< columns that any of them has
  std::int64_t steps_at_once = 0;          ///< steps whose gradients are held at a time
};

/// Packs texts into passes within a memory budget. All that decides is the shape of the problem, so that what a method
/// does can be planned without doing it.
class PassPlan {
 public:
  struct Rows {
    std::int64_t target = 0, source = 0;
  };

  /// What a pass holds beside its own: as many logits for each step more, and another pass over as many rows. A step
  /// has logits at so many rows as are its `reads`.
  struct Beside {
    std::int64_t logits = 0;
    bool text = false;
    std::int64_t reads = 1;
  };

  /// `rows` are those of each sequence; `budget` of weights and passes together, 0: a share of the memory that is free.
  PassPlan(const ModelInfo& model, std::vector<Rows> rows, std::int64_t budget, const Beside& beside);

  /// What the largest of some units takes when it goes through the model alone, one step at a time.
  struct Demand {
    std::int64_t bytes = 0;  ///< with what is held beside
    Unit unit;
  };
  Demand demand(const std::vector<Unit>& units, const PassKind& kind, std::int64_t held) const;
  bool fits(const Demand& demand) const { return demand.bytes <= usable(); }
  /// Throws ConfigError, saying the least budget that works, unless all fit.
  void require(const std::vector<Demand>& demands) const;

  /// Passes over the units in their order, each of which fits if its largest unit does. `held` are bytes that the
  /// caller keeps meanwhile.
  std::vector<Pass> passes(const std::vector<Unit>& units, const PassKind& kind, std::int64_t held) const;

  /// Bytes that a caller may hold beside passes, so that these are left as much.
  std::int64_t share() const { return usable() / 2; }

  /// Bytes for what a problem remembers, which are no part of what passes may use.
  std::int64_t cache() const { return budget_ / kCacheShare; }
  /// What `keep_prefix` keeps of a sequence.
  std::int64_t prefix_bytes(std::int64_t sequence) const;

 private:
  static constexpr std::int64_t kCacheShare = 8;

  std::int64_t computed_rows(const Unit& unit, const PassKind& kind) const;
  static std::int64_t first_step(const std::vector<Unit>& units, const PassKind& kind);
  std::int64_t bytes(const std::vector<Unit>& units, const PassKind& kind, std::int64_t steps_at_once) const;
  std::int64_t usable() const { return budget_ - cache(); }

  std::int64_t hidden_, heads_, vocabulary_, weights_;
  PassBytes model_;
  std::vector<Rows> rows_;
  Beside beside_;
  std::int64_t given_, budget_;  ///< with the weights; of passes alone
};

}  // namespace whence
