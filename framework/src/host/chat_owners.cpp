#include "host/chat_owners.h"

#include <algorithm>

#include "whence/error.h"

namespace whence::host {
namespace {

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

char other_letter(char c) {
  if (c == 'z' || c == 'Z' || c == '9') return static_cast<char>(c - 1);
  return static_cast<char>(c + 1);
}

/// Other letters and digits in the same places, so that whatever a template looks at (blanks, tags, lengths) stays.
/// Texts without any change their punctuation or the letters of their tags.
std::string disguised(const std::string& text) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    std::string other = text;
    bool in_tag = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if (text[i] == '<')
        in_tag = text.find_first_of("> \n", i) < text.size() && text[text.find_first_of("> \n", i)] == '>';
      if (text[i] == '>') in_tag = false;
      if (is_letter(text[i]) && (!in_tag || attempt == 2)) other[i] = other_letter(text[i]);
      // The last byte of a character of three or four bytes; blanks and quotes (E2 80, E3 80) stay.
      const auto lead = [&](std::size_t before) {
        return i < before ? 0 : static_cast<unsigned char>(text[i - before]);
      };
      const bool third =
          lead(2) >= 0xE0 && lead(2) < 0xF0 && !(lead(1) == 0x80 && (lead(2) == 0xE2 || lead(2) == 0xE3));
      const bool last = third || lead(3) >= 0xF0 || (lead(1) >= 0xC3 && lead(1) < 0xE0);
      if (byte >= 0x80 && byte < 0xC0 && last) other[i] = static_cast<char>(byte ^ 1);
      if (attempt == 1 && (text[i] == '?' || text[i] == '!' || text[i] == '.' || text[i] == ',' || text[i] == '-'))
        other[i] = text[i] == '?' ? '!' : '?';
    }
    if (other != text) return other;
  }
  return text;
}

Value with_texts(const Value& value, std::string (*change)(const std::string&)) {
  if (value.is_string()) return Value(change(value.as_string()), value.mark());
  if (!value.is_list()) return value;
  Value::List parts;
  for (const Value& part : value.as_list()) {
    if (!part.is_map()) {
      parts.push_back(part);
      continue;
    }
    Value::Map map = part.as_map();
    for (auto& [key, text] : map)
      if (key == "text") text = with_texts(text, change);
    parts.push_back(Value(std::move(map), part.mark()));
  }
  return Value(std::move(parts), value.mark());
}

Value::List with_content(Value::List messages, std::size_t index, std::string (*change)(const std::string&)) {
  Value::Map map = messages[index].as_map();
  for (auto& [key, value] : map)
    if (key == "content") value = with_texts(value, change);
  messages[index] = Value(std::move(map), messages[index].mark());
  return messages;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

/// All texts of a content, one after the other.
std::string text_of(const Value& content) {
  if (content.is_string()) return content.as_string();
  std::string text;
  if (content.is_list())
    for (const Value& part : content.as_list())
      if (const Value* own = part.is_map() ? part.find("text") : nullptr; own && own->is_string())
        text += own->as_string();
  return text;
}

/// The text under another disguise of message `index`, or nothing when the template refuses it.
std::string rendered_or_empty(const RenderMessages& render, const Value::List& messages, bool open) {
  try {
    return render(messages, open);
  } catch (const Error&) {
    return {};
  }
}

/// Marks where the content of a message stands.
void mark_content(const std::string& text, const Value::List& messages, std::size_t index, bool open,
                  const RenderMessages& render, std::vector<Owner>& owners) {
  const Value* value = messages[index].find("content");
  const std::string content = value ? text_of(*value) : "";
  const std::string core = trimmed(content);
  if (core.empty()) return;
  const std::string other = rendered_or_empty(render, with_content(messages, index, disguised), open);
  const Owner owner{static_cast<std::int64_t>(index), true};
  const auto mark = [&](std::size_t from, std::size_t to) {
    std::fill(owners.begin() + from, owners.begin() + to, owner);
  };
  if (other.size() != text.size()) {  // the template looks at the letters: the first place that nobody has yet
    for (std::size_t at = text.find(core); at != std::string::npos; at = text.find(core, at + 1))
      if (std::none_of(owners.begin() + at, owners.begin() + at + core.size(),
                       [](const Owner& o) { return o.content; }))
        return mark(at, at + core.size());
    return;
  }
  // Blanks around a content that the template takes off are its own when it writes the same ones.
  const bool trims = rendered_or_empty(render, with_content(messages, index, trimmed), open) == text;
  const std::string& written = trims ? core : content;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == other[at]) {
      ++at;
      continue;
    }
    // The longest stretch around the change that the content holds.
    std::size_t best_from = at, best_to = at + 1;
    for (std::size_t own = written.find(text[at]); own != std::string::npos; own = written.find(text[at], own + 1)) {
      std::size_t left = 0, right = 1;
      while (left < own && left < at && written[own - left - 1] == text[at - left - 1] &&
             !owners[at - left - 1].content)
        ++left;
      while (own + right < written.size() && at + right < text.size() && written[own + right] == text[at + right])
        ++right;
      if (left + right > best_to - best_from) best_from = at - left, best_to = at + right;
    }
    mark(best_from, best_to);
    at = best_to;
  }
}

}  // namespace

std::vector<Owner> chat_owners(const std::string& text, const Value::List& messages, bool open_answer,
                               const RenderMessages& render, const std::string& bos) {
  std::vector<Owner> owners(text.size());
  for (std::size_t i = 0; i < messages.size(); ++i) mark_content(text, messages, i, open_answer, render, owners);

  std::size_t next = !bos.empty() && text.starts_with(bos) ? bos.size() : 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Value::List so_far(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    const std::string before = rendered_or_empty(render, so_far, false);
    std::size_t end = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).first - before.begin();
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (!owners[at].content) continue;
      if (owners[at].turn == static_cast<std::int64_t>(i)) end = std::max(end, at + 1);
      if (owners[at].turn > static_cast<std::int64_t>(i)) {
        end = std::min(end, at);
        break;
      }
    }
    if (i + 1 == messages.size() && !open_answer) end = text.size();
    for (; next < end; ++next)
      if (!owners[next].content) owners[next].turn = static_cast<std::int64_t>(i);
  }
  for (; next < text.size(); ++next)
    if (!owners[next].content) owners[next].turn = std::ssize(messages);
  return owners;
}

}  // namespace whence::host
