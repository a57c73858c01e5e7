#include "host/context_spec.h"

#include <algorithm>

namespace whence::host {
namespace {

const std::vector<std::string> kStrategies = {"manual", "auto", "pre"};  // as OutputContextStrategy has them
const std::vector<std::string> kUnitScores = {"sum", "absmax"};          // as UnitScore has them

template <class Enum>
Enum named(const std::vector<std::string>& names, const std::string& name, const char* what, const Mark& where) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw UnknownName(where, what, name, names);
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

bool ContextInput::operator==(const ContextInput& other) const {
  return id == other.id && input_current == other.input_current && input_context == other.input_context &&
         documents == other.documents && output_context == other.output_context &&
         output_current == other.output_current && contextless_next_tokens == other.contextless_next_tokens &&
         src_lang == other.src_lang && tgt_lang == other.tgt_lang;
}

OutputContextStrategy output_context_strategy(const std::string& name, const Mark& where) {
  return named<OutputContextStrategy>(kStrategies, name, "strategy for the output context", where);
}
std::string name_of(OutputContextStrategy strategy) { return kStrategies.at(static_cast<std::size_t>(strategy)); }

UnitScore unit_score(const std::string& name, const Mark& where) {
  return named<UnitScore>(kUnitScores, name, "score of a unit", where);
}
std::string name_of(UnitKind kind) {
  for (const char* name : {"token", "word", "sentence", "line", "paragraph"})
    if (unit_kind(name) == kind) return name;
  return {};
}

std::string name_of(UnitScore score) { return kUnitScores.at(static_cast<std::size_t>(score)); }

}  // namespace whence::host
