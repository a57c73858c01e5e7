#include "text.h"

#include <utf8proc.h>

#include <cstdio>

namespace whence::drawing {
namespace {

struct CodePoint {
  utf8proc_int32_t value;  ///< negative when the bytes are no UTF-8
  std::string_view bytes;
};

CodePoint next_code_point(std::string_view text) {
  utf8proc_int32_t value = -1;
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &value);
  if (size <= 0) return {-1, text.substr(0, 1)};
  return {value, text.substr(0, static_cast<std::size_t>(size))};
}

bool is_mark(utf8proc_int32_t value) {
  const auto category = utf8proc_category(value);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_MC;
}

bool needs_escape(utf8proc_int32_t value) {
  // Terminals disagree whether these change the width of the character before them.
  const bool variation_selector = (value >= 0xFE00 && value <= 0xFE0F) || (value >= 0xE0100 && value <= 0xE01EF);
  switch (utf8proc_category(value)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    case UTF8PROC_CATEGORY_ZS:
      return value != ' ';
    default:
      return variation_selector || (utf8proc_charwidth(value) <= 0 && !is_mark(value));
  }
}

std::string escape(const CodePoint& point) {
  if (point.value == '\n') return "\\n";
  if (point.value == '\r') return "\\r";
  if (point.value == '\t') return "\\t";
  const auto value = static_cast<unsigned>(point.value < 0 ? static_cast<unsigned char>(point.bytes[0]) : point.value);
  char text[16];
  const char* format = point.value < 0 || value < 0x80 ? "\\x%02x" : value <= 0xFFFF ? "\\u%04x" : "\\U%08x";
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  bool has_base = false;
  while (!text.empty()) {
    const CodePoint point = next_code_point(text);
    text.remove_prefix(point.bytes.size());
    if (point.value < 0 || needs_escape(point.value)) {
      result += escape(point);
      has_base = false;
      continue;
    }
    // A mark without a base of its own would sit on an escape, or on whatever is printed before the text.
    if (!has_base && is_mark(point.value)) result += "\u25CC";
    result += point.bytes;
    has_base = true;
  }
  return result;
}

std::string printable_lines(std::string_view text) {
  std::string result;
  for (;;) {
    const std::size_t end = text.find('\n');
    result += printable(text.substr(0, end));
    if (end == std::string_view::npos) return result;
    result += '\n';
    text.remove_prefix(end + 1);
  }
}

int display_width(std::string_view printable) {
  int width = 0;
  while (!printable.empty()) {
    const CodePoint point = next_code_point(printable);
    width += point.value < 0 ? 1 : utf8proc_charwidth(point.value);
    printable.remove_prefix(point.bytes.size());
  }
  return width;
}

std::string shorten(std::string_view printable, int columns) {
  if (display_width(printable) <= columns) return std::string(printable);
  std::size_t fits = 0;  // bytes of the whole characters that leave a cell for the ellipsis
  int width = 0;
  utf8proc_int32_t previous = 0, state = 0;
  for (std::size_t at = 0; at < printable.size();) {
    const CodePoint point = next_code_point(printable.substr(at));
    if (at == 0 || utf8proc_grapheme_break_stateful(previous, point.value, &state)) fits = at;
    width += point.value < 0 ? 1 : utf8proc_charwidth(point.value);
    if (width > columns - 1) break;
    previous = point.value;
    at += point.bytes.size();
  }
  return std::string(printable.substr(0, fits)) + "…";
}

std::string pad_left(std::string_view printable, int columns) {
  return std::string(std::max(0, columns - display_width(printable)), ' ').append(printable);
}

std::string pad_right(std::string_view printable, int columns) {
  return std::string(printable).append(std::max(0, columns - display_width(printable)), ' ');
}

std::string wrap(std::string_view printable, int columns) {
  std::string out;
  int width = 0;
  while (!printable.empty()) {
    const std::size_t end = std::min(printable.find(' '), printable.size());
    const std::string_view word = printable.substr(0, end);
    const int needed = display_width(word);
    if (width > 0 && width + 1 + needed > columns) {
      out += '\n';
      width = 0;
    } else if (width > 0) {
      out += ' ';
      ++width;
    }
    out += word;
    width += needed;
    printable.remove_prefix(std::min(end + 1, printable.size()));
  }
  return out += '\n';
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (;;) {
    const std::size_t at = text.find(from);
    result += text.substr(0, at);
    if (at == std::string_view::npos) return result;
    result += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace whence::drawing
