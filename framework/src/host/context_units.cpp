#include "host/context_units.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace whence::host {
namespace {

/// The byte of its first letter; of blanks alone where they begin.
std::int64_t letter_of(const TokenText& text, const Span& token) {
  const std::size_t letter = text.text.find_first_not_of(" \t\r\n\f\v", static_cast<std::size_t>(token.start));
  return static_cast<std::int64_t>(letter) < token.end && letter != std::string::npos
             ? static_cast<std::int64_t>(letter)
             : token.start;
}

std::vector<ContextUnit> documents_of(const ContextTask& task, const TokenText& context,
                                      const std::vector<Span>& documents) {
  std::vector<ContextUnit> units;
  std::int64_t token = 0;
  const auto behind = [&](std::int64_t byte) {
    while (token < std::ssize(context.bytes) &&
           letter_of(context, context.bytes[static_cast<std::size_t>(token)]) < byte)
      ++token;
    return token;
  };
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const std::string& name = task.input.documents[i].name;
    const std::int64_t start = behind(documents[i].start);
    units.push_back({name.empty() ? std::to_string(i + 1) : name, {start, behind(documents[i].end)}});
  }
  return units;
}

}  // namespace

std::vector<ContextUnit> units_of_context(const ContextTask& task, const TokenText& context,
                                          const std::vector<Span>& documents) {
  if (!task.spec.cue_units) return documents_of(task, context, documents);
  std::vector<ContextUnit> units;
  if (*task.spec.cue_units == UnitKind::token) return units;
  for (const Label& unit : units_of(context, *task.spec.cue_units, task.spec.unit_language))
    units.push_back({unit.name, unit.span});
  return units;
}

std::vector<float> unit_scores(const std::vector<ContextUnit>& units, const std::vector<float>& tokens, UnitScore way) {
  std::vector<float> scores;
  for (const ContextUnit& unit : units) {
    const auto first = tokens.begin() + unit.tokens.start, last = tokens.begin() + unit.tokens.end;
    if (way == UnitScore::sum)
      scores.push_back(static_cast<float>(std::accumulate(first, last, 0.0)));
    else
      scores.push_back(first == last ? 0 : *std::max_element(first, last, [](float a, float b) {
        return std::abs(a) < std::abs(b);
      }));
  }
  return scores;
}

}  // namespace whence::host
