#include "whence/token_text.h"

#include <algorithm>

#include "whence/vocabulary.h"

namespace whence {
namespace {

/// Bytes that form no whole character come out as this.
constexpr std::string_view kReplacement = "\uFFFD";

/// Takes the last bytes of the text from their tokens: the next one changes them, as the end of a name of a character.
void take_back(std::ptrdiff_t count, TokenText& result) {
  const auto size = std::ssize(result.text) - count;
  result.text.resize(size);
  for (Span& span : result.bytes) span = {std::min(span.start, size), std::min(span.end, size)};
}

/// Appends what neighbouring tokens that are not special write. A token writes what decoding it adds to the text of
/// the tokens before it, since vocabularies write blanks differently at the beginning of a text. `forgets`: only a few
/// tokens before it are decoded again.
void write_run(const Tokenizer& tokenizer, const TokenIds& ids, bool forgets, TokenText& result) {
  std::size_t begin = 0, written = 0;  // tokens [begin, written) are decoded with the next ones
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto decoded = [&](std::size_t end) {
      return tokenizer.decode(TokenIds(ids.begin() + begin, ids.begin() + end), false);
    };
    const std::string before = decoded(written), now = decoded(i + 1);
    // Half a character waits for the tokens that complete it.
    if (now.ends_with(kReplacement) && i + 1 < ids.size()) continue;
    const auto [kept, added] = std::mismatch(before.begin(), before.end(), now.begin(), now.end());
    const std::string piece(added, now.end());
    if (!forgets) take_back(before.end() - kept, result);
    // Blanks alone are no beginning that keeps a decoder from leaving out the next ones.
    if (forgets && piece.find_first_not_of(' ') != std::string::npos) begin = written;
    const auto start = std::ssize(result.text);
    result.text += piece;
    for (; written <= i; ++written) result.bytes.push_back({start, std::ssize(result.text)});
  }
}

/// Few decoders look far back, such as those that count quotes: then all tokens are decoded for each.
void write_run(const Tokenizer& tokenizer, const TokenIds& ids, TokenText& result) {
  const TokenText so_far = result;
  write_run(tokenizer, ids, true, result);
  if (result.text == so_far.text + tokenizer.decode(ids, false)) return;
  result = so_far;
  write_run(tokenizer, ids, false, result);
}

}  // namespace

TokenText token_text(const Tokenizer& tokenizer, const TokenIds& ids) {
  const TokenIds& specials = tokenizer.all_special_ids();
  TokenText result;
  TokenIds run;
  const auto end_run = [&] {
    write_run(tokenizer, run, result);
    run.clear();
  };
  for (const std::int64_t id : ids) {
    result.special.push_back(std::binary_search(specials.begin(), specials.end(), id));
    if (!result.special.back()) {
      run.push_back(id);
      continue;
    }
    end_run();
    result.bytes.push_back({std::ssize(result.text), std::ssize(result.text)});
  }
  end_run();
  return result;
}

TokenText token_text(const std::vector<Token>& tokens) {
  const Vocabulary vocabulary = vocabulary_of(tokens);
  TokenText result;
  for (const Token& token : tokens) {
    const auto start = std::ssize(result.text);
    result.special.push_back(looks_special(token.text));
    if (!result.special.back()) result.text += entry_text(token.text, vocabulary);
    result.bytes.push_back({start, std::ssize(result.text)});
  }
  return result;
}

}  // namespace whence
