#pragma once

#include <functional>
#include <string>
#include <vector>

#include "whence/value.h"

namespace whence::host {

/// Whose a byte of a rendered chat is.
struct Owner {
  std::int64_t turn = -1;  ///< index of the message; -1: none
  bool content = false;

  bool operator==(const Owner&) const = default;
};

/// Text of messages, with an answer opened behind them or not.
using RenderMessages = std::function<std::string(const Value::List&, bool open_answer)>;

/// One owner for each byte of `text`, which `render(messages, open_answer)` gave. Contents are found by rendering each
/// message with other letters and looking where the text changes; markup between two contents belongs to the earlier
/// message as far as the text of the messages up to it goes, then to the later one. The opened answer is turn
/// messages.size(). Leading `bos` belongs to no turn.
std::vector<Owner> chat_owners(const std::string& text, const Value::List& messages, bool open_answer,
                               const RenderMessages& render, const std::string& bos);

}  // namespace whence::host
