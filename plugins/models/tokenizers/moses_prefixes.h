#pragma once

#include <set>
#include <string>
#include <string_view>

namespace whence {

/// Words of a language that keep the full stop behind them.
struct MosesPrefixes {
  std::set<std::u16string, std::less<>> always;
  std::set<std::u16string, std::less<>> before_digits;  ///< only where a number follows
};

/// Whether there are prefixes of that language: "de", "en", "ru".
bool has_moses_prefixes(std::string_view language);
MosesPrefixes moses_prefixes(std::string_view language);

}  // namespace whence
