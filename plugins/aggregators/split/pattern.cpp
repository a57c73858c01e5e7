#include "pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "whence/error.h"

using whence::ConfigError;
using whence::Span;

namespace {

/// Far more than sensible expressions need on long prompts, far less than a second.
constexpr std::uint32_t kMostSteps = 1'000'000, kMostHeapKibibytes = 64 * 1024;

std::string message(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

Pattern::Pattern(std::string expression) : expression_(std::move(expression)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Texts of tokens may hold pieces of characters.
  constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression_.data()), expression_.size(), kOptions,
                                   &error, &offset, nullptr);
  if (!code)
    throw ConfigError("split_pattern: '" + expression_ + "' is no regular expression: " + message(error) +
                      ", at byte " + std::to_string(offset));
  code_ = std::shared_ptr<void>(code, [](void* each) { pcre2_code_free(static_cast<pcre2_code*>(each)); });
}

std::vector<Span> Pattern::matches(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> limits(
      pcre2_match_context_create(nullptr), &pcre2_match_context_free);
  if (!data || !limits) throw std::bad_alloc();
  pcre2_set_match_limit(limits.get(), kMostSteps);
  pcre2_set_heap_limit(limits.get(), kMostHeapKibibytes);

  std::vector<Span> found;
  for (PCRE2_SIZE from = 0; from < text.size();) {
    const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, PCRE2_NOTEMPTY,
                                  data.get(), limits.get());
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0)
      throw ConfigError("split_pattern: '" + expression_ + "' could not be searched for in a text of " +
                        std::to_string(text.size()) + " bytes: " + message(count) + "; simplify it");
    const PCRE2_SIZE* edges = pcre2_get_ovector_pointer(data.get());
    // \K in a lookahead can place the beginning behind the end.
    if (edges[1] <= edges[0] || edges[1] <= from)
      throw ConfigError("split_pattern: '" + expression_ + "' matches backwards; leave \\K out");
    found.push_back({static_cast<std::int64_t>(edges[0]), static_cast<std::int64_t>(edges[1])});
    from = edges[1];
  }
  return found;
}
