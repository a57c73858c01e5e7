#pragma once

#include <string>
#include <vector>

#include "whence/export.h"
#include "whence/label.h"

namespace whence {

/// One message of a chat on the positions of a text. Most turns are one span; a template may write a message in pieces,
/// or put one inside another.
struct ChatTurn {
  std::int64_t index = 0;  ///< of the message, from 0; an answer that was generated comes behind the last message
  std::string role;
  std::vector<Span> spans;     ///< all of its positions, markup included: ascending, disjoint, not touching
  std::vector<Span> contents;  ///< what the message says: the same without markup; none for an empty message
};

/// The turns that labels of a chat tell of, by index; none where there is no chat. Markup outside all turns, such as
/// BOS, belongs to none.
WHENCE_API std::vector<ChatTurn> chat_turns(const std::vector<Label>& labels);

}  // namespace whence
