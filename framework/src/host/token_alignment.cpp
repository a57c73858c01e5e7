#include "host/token_alignment.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "whence/error.h"
#include "whence/token_text.h"

namespace whence::host {
namespace {

constexpr int kSameToken = 100, kSameWord = 90, kMostAlike = 50;
/// Pairs of tokens that are looked at, one byte for each.
constexpr std::size_t kMostPairs = std::size_t{1} << 28;

/// Small letters without blanks. Bytes that are no UTF-8 are taken as they are.
std::u32string word_of(std::string_view piece) {
  utf8proc_uint8_t* folded = nullptr;
  const auto size = static_cast<utf8proc_ssize_t>(piece.size());
  const utf8proc_ssize_t count =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(piece.data()), size, &folded,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, std::free);
  std::u32string word;
  if (count < 0) {
    for (const unsigned char byte : piece) word += byte;
    return word;
  }
  for (utf8proc_ssize_t at = 0; at < count;) {
    utf8proc_int32_t code = 0;
    at += utf8proc_iterate(folded + at, count - at, &code);
    const utf8proc_category_t category = utf8proc_category(code);
    if (category != UTF8PROC_CATEGORY_ZS && code != '\n' && code != '\t' && code != '\r')
      word += static_cast<char32_t>(code);
  }
  return word;
}

/// Letters that two words share in order.
std::size_t shared_letters(const std::u32string& one, const std::u32string& other) {
  std::vector<std::size_t> row(other.size() + 1, 0);
  for (const char32_t letter : one) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < other.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = letter == other[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

/// Numbers the different tokens of a text, so that each is compared once.
std::vector<std::size_t> kinds_of(const std::vector<AlignableToken>& tokens, std::size_t begin, std::size_t end,
                                  std::vector<const AlignableToken*>& different) {
  std::map<std::int64_t, std::size_t> known;
  std::vector<std::size_t> kinds;
  for (std::size_t i = begin; i < end; ++i) {
    const auto [entry, added] = known.emplace(tokens[i].id, different.size());
    if (added) different.push_back(&tokens[i]);
    kinds.push_back(entry->second);
  }
  return kinds;
}

enum class Step : std::uint8_t { pair, skip_other, skip_text };

}  // namespace

std::vector<AlignableToken> alignable_tokens(const Tokenizer& tokenizer, const TokenIds& ids) {
  const TokenText text = token_text(tokenizer, ids);
  std::vector<AlignableToken> tokens;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Span& bytes = text.bytes[i];
    const auto piece = std::string_view(text.text).substr(static_cast<std::size_t>(bytes.start),
                                                          static_cast<std::size_t>(bytes.size()));
    tokens.push_back({ids[i], text.special[i] ? std::u32string() : word_of(piece), text.special[i]});
  }
  return tokens;
}

std::optional<int> likeness(const AlignableToken& one, const AlignableToken& other) {
  if (one.special != other.special) return {};
  if (one.id == other.id) return kSameToken;
  if (one.word.empty() || other.word.empty()) return 0;
  if (one.word == other.word) return kSameWord;
  const std::size_t shared = 2 * shared_letters(one.word, other.word), letters = one.word.size() + other.word.size();
  return 2 * shared < letters ? 0 : static_cast<int>(kMostAlike * shared / letters);
}

std::vector<std::int64_t> align_tokens(const std::vector<AlignableToken>& text,
                                       const std::vector<AlignableToken>& other) {
  std::vector<std::int64_t> partners(text.size(), -1);
  const std::size_t shorter = std::min(text.size(), other.size());
  std::size_t begin = 0, same_end = 0;
  while (begin < shorter && text[begin].id == other[begin].id) {
    partners[begin] = static_cast<std::int64_t>(begin);
    ++begin;
  }
  while (same_end < shorter - begin && text[text.size() - 1 - same_end].id == other[other.size() - 1 - same_end].id) {
    ++same_end;
    partners[text.size() - same_end] = static_cast<std::int64_t>(other.size() - same_end);
  }
  const std::size_t rows = text.size() - begin - same_end, columns = other.size() - begin - same_end;
  if (columns > 0 && rows > kMostPairs / columns)
    throw InputError("the text and its contrastive target differ in " + std::to_string(rows) + " and " +
                     std::to_string(columns) + " tokens, too many to align them; give the pairs");

  std::vector<const AlignableToken*> different, other_different;
  const auto kinds = kinds_of(text, begin, begin + rows, different);
  const auto other_kinds = kinds_of(other, begin, begin + columns, other_different);
  constexpr int kNever = -1;
  std::vector<std::int8_t> alike;
  for (const AlignableToken* one : different)
    for (const AlignableToken* each : other_different)
      alike.push_back(static_cast<std::int8_t>(likeness(*one, *each).value_or(kNever)));

  // Best sums of what is left behind each position, from the end; the way is then read from the beginning.
  std::vector<Step> steps(rows * columns, Step::skip_other);
  std::vector<std::int64_t> best(columns + 1, 0);
  for (std::size_t i = rows; i-- > 0;) {
    std::int64_t diagonal = 0;  // of the row below, one column further
    for (std::size_t j = columns; j-- > 0;) {
      const std::int64_t below = best[j], here = alike[kinds[i] * other_different.size() + other_kinds[j]];
      Step& step = steps[i * columns + j];
      const std::int64_t paired = here == kNever ? kNever : here + diagonal;
      const std::int64_t skipped = std::max(best[j + 1], below);
      step = paired >= skipped ? Step::pair : best[j + 1] >= below ? Step::skip_other : Step::skip_text;
      best[j] = std::max(paired, skipped);
      diagonal = below;
    }
  }
  for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
    const Step step = steps[i * columns + j];
    if (step == Step::pair) partners[begin + i] = static_cast<std::int64_t>(begin + j);
    if (step != Step::skip_other) ++i;
    if (step != Step::skip_text) ++j;
  }
  return partners;
}

}  // namespace whence::host
