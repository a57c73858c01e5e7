#pragma once

#include <string>
#include <string_view>

#include "rust/whence_tokenizers.h"

namespace whence {

/// Text owned by the Rust library, freed at the end of the scope.
struct ForeignText : WhenceTokenizerText {
  ForeignText() : WhenceTokenizerText{nullptr, 0} {}
  ForeignText(const ForeignText&) = delete;
  ForeignText& operator=(const ForeignText&) = delete;
  ~ForeignText() { whence_tokenizer_text_free(this); }

  std::string_view view() const { return data == nullptr ? std::string_view() : std::string_view(data, size); }
  std::string string() const { return std::string(view()); }
};

}  // namespace whence
