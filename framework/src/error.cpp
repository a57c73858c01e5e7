#include "whence/error.h"

#include <algorithm>
#include <numeric>

namespace whence {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string unknown_name_text(std::string_view kind, std::string_view name, std::vector<std::string> candidates) {
  std::string text = "unknown " + std::string(kind) + " '" + std::string(name) + "'";
  if (const std::string nearest = nearest_name(name, candidates); !nearest.empty())
    text += "; did you mean '" + nearest + "'?";
  if (candidates.empty()) return text + "; none is known here";
  text += text.ends_with('?') ? " known: " : "; known: ";
  std::sort(candidates.begin(), candidates.end());
  for (std::size_t i = 0; i < candidates.size(); ++i) text += (i ? ", " : "") + candidates[i];
  return text;
}

std::string with_place(const std::string& place, const std::string& text) {
  return place.empty() ? text : place + ": " + text;
}

}  // namespace

std::string Mark::text() const {
  if (file.empty() || line == 0) return file;
  return file + ":" + std::to_string(line) + (column ? ":" + std::to_string(column) : "");
}

Error::Error(ExitStatus status, const std::string& text) : std::runtime_error(text), status_(status) {}
Error::~Error() = default;

ConfigError::ConfigError(const std::string& text) : Error(ExitStatus::usage, text) {}
ConfigError::ConfigError(const Mark& where, const std::string& text)
    : Error(ExitStatus::usage, with_place(where.text(), text)), where_(where) {}
ConfigError::~ConfigError() = default;

UnknownName::UnknownName(const Mark& where, std::string_view kind, std::string_view name,
                         const std::vector<std::string>& candidates)
    : ConfigError(where, unknown_name_text(kind, name, candidates)) {}
UnknownName::~UnknownName() = default;

PluginError::PluginError(const std::string& path, const std::string& stage, const std::string& text)
    : Error(ExitStatus::plugin, with_place(path, text)), path_(path), stage_(stage) {}
PluginError::~PluginError() = default;

ModelError::ModelError(const std::string& text) : Error(ExitStatus::model, text) {}
ModelError::~ModelError() = default;

InputError::InputError(const std::string& text) : Error(ExitStatus::input, text) {}
InputError::~InputError() = default;

DisagreementError::DisagreementError(const std::string& text) : Error(ExitStatus::disagreement, text) {}
DisagreementError::~DisagreementError() = default;

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = name.size() / 3 + 2;
  for (const auto& candidate : candidates)
    if (const auto distance = edit_distance(name, candidate); distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  return best;
}

}  // namespace whence
