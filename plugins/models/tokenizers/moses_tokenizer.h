#pragma once

#include <string_view>
#include <vector>

#include "aligned_text.h"
#include "moses_prefixes.h"

namespace whence {

/// The words of the Moses tokeniser, as sacremoses 0.2 makes them with escapes and split hyphens. Immutable.
class MosesTokenizer {
 public:
  /// `language` is "de", "en" or "ru".
  explicit MosesTokenizer(std::string_view language);

  /// Punctuation in its plain forms, without control characters and the like.
  void normalize(AlignedText& text) const;
  /// With white space between the words.
  void separate(AlignedText& text) const;

 private:
  void separate_full_stops(AlignedText& text) const;

  std::vector<RewriteRule> normalization_, before_full_stops_, after_full_stops_;
  MosesPrefixes prefixes_;
};

}  // namespace whence
