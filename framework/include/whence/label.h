#pragma once

#include <cstdint>
#include <string>

#include "whence/span.h"

namespace whence {

/// What a label marks.
enum class LabelKind {
  span,     ///< a stretch somebody named, such as a passage
  content,  ///< of a chat: what a message says
  markup,   ///< of a chat: what the template writes around it, special tokens included
};

/// A named stretch of positions. The labels of a chat stand in order and hold every position of the text once
/// (`whence/chat_turns.h` collects them by turn); other labels may overlap.
struct Label {
  std::string name;  ///< of a chat: the role whose turn it is; empty for markup outside all turns
  Span span;
  LabelKind kind = LabelKind::span;
  std::int64_t turn = -1;  ///< of a chat: index of the message, from 0; -1 outside all turns

  bool operator==(const Label&) const = default;
};

}  // namespace whence
