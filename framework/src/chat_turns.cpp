#include "whence/chat_turns.h"

#include <map>

namespace whence {
namespace {

/// Appends a span, to the last one where both touch. Merged tokens make spans of neighbours overlap.
void append(std::vector<Span>& spans, const Span& span) {
  if (span.size() <= 0) return;
  if (spans.empty() || spans.back().end < span.start)
    spans.push_back(span);
  else
    spans.back().end = std::max(spans.back().end, span.end);
}

}  // namespace

std::vector<ChatTurn> chat_turns(const std::vector<Label>& labels) {
  std::map<std::int64_t, ChatTurn> by_index;
  for (const Label& label : labels) {
    if (label.kind == LabelKind::span || label.turn < 0) continue;
    ChatTurn& turn = by_index.try_emplace(label.turn, ChatTurn{.index = label.turn, .role = label.name}).first->second;
    append(turn.spans, label.span);
    if (label.kind == LabelKind::content) append(turn.contents, label.span);
  }
  std::vector<ChatTurn> turns;
  for (auto& [_, turn] : by_index) turns.push_back(std::move(turn));
  return turns;
}

}  // namespace whence
