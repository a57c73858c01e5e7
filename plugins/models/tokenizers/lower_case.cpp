#include "lower_case.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include "text_utf8.h"

namespace whence {

LoweredText lower_case(std::string_view text, const std::vector<std::string>& kept) {
  LoweredText lowered;
  const auto append = [&](std::string_view part, std::size_t place) {
    lowered.text += part;
    lowered.places.resize(lowered.text.size(), place);
  };
  const auto starts = character_starts(text);
  for (std::size_t i = 0; i + 1 < starts.size();) {
    const auto rest = text.substr(starts[i]);
    std::size_t longest = 0;
    for (const auto& token : kept)
      if (token.size() > longest && rest.starts_with(token)) longest = token.size();
    if (longest > 0) {
      for (const std::size_t end = starts[i] + longest; starts[i] < end; ++i)
        append(text.substr(starts[i], starts[i + 1] - starts[i]), starts[i]);
      continue;
    }
    std::string part;
    icu::UnicodeString::fromUTF8({rest.data(), static_cast<std::int32_t>(starts[i + 1] - starts[i])})
        .toLower(icu::Locale::getRoot())
        .toUTF8String(part);
    append(part, starts[i]);
    ++i;
  }
  lowered.places.push_back(text.size());
  return lowered;
}

}  // namespace whence
