#pragma once

#include <sstream>

#include "whence/error.h"
#include "whence/tokenizer.h"

namespace whence::testing {

/// Ids 0 to size - 1 are the words "t0", "t1"...; a text is words between blanks. 0 is the unknown token, 1 ends a
/// text.
class FakeTokenizer : public Tokenizer {
 public:
  explicit FakeTokenizer(std::int64_t size) : size_(size) {
    special_.unknown = 0;
    special_.eos = 1;
  }

  Encoding encode(std::string_view text, const EncodeOptions&) const override {
    Encoding encoding;
    std::istringstream words{std::string(text)};
    std::int64_t from = 0;
    for (std::string word; words >> word; from += std::ssize(word) + 1) {
      encoding.ids.push_back(id(word).value_or(0));
      encoding.tokens.push_back(word);
      encoding.offsets.push_back({from, from + std::ssize(word)});
      encoding.special.push_back(false);
    }
    return encoding;
  }

  std::string decode(const TokenIds& ids, bool) const override {
    std::string text;
    for (const std::int64_t each : ids) {
      if (!token(each)) throw InputError("id " + std::to_string(each) + " is outside the vocabulary");
      text += (text.empty() ? "" : " ") + *token(each);
    }
    return text;
  }

  std::optional<std::string> token(std::int64_t id) const override {
    if (id < 0 || id >= size_) return std::nullopt;
    return "t" + std::to_string(id);
  }

  std::optional<std::int64_t> id(std::string_view token) const override {
    for (std::int64_t i = 0; i < size_; ++i)
      if ("t" + std::to_string(i) == token) return i;
    return std::nullopt;
  }

  const SpecialIds& special_ids() const override { return special_; }
  const TokenIds& all_special_ids() const override { return all_special_; }

 private:
  std::int64_t size_;
  SpecialIds special_;
  TokenIds all_special_{0, 1};
};

}  // namespace whence::testing
