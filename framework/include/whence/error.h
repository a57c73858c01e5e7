#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "whence/export.h"

namespace whence {

/// What the process returns to the shell when an error ends it.
enum class ExitStatus : int { done = 0, defect = 1, usage = 2, plugin = 3, model = 4, input = 5, disagreement = 6 };

/// A place in a file the user wrote. Line and column count from 1; 0 means unknown.
struct Mark {
  std::string file;
  int line = 0;
  int column = 0;

  /// "file:line:column", shortened to what is known; empty without a file.
  WHENCE_API std::string text() const;
};

/// Root of every error. The text reads "place: what is wrong, expected and found; mend": lower case, no full stop.
class WHENCE_API Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& text);
  ~Error() override;
  ExitStatus status() const noexcept { return status_; }

 private:
  ExitStatus status_;
};

/// Bad usage of the command line, an experiment file or a parameter. Exit status 2.
class WHENCE_API ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& text);
  ConfigError(const Mark& where, const std::string& text);
  ~ConfigError() override;
  const Mark& where() const noexcept { return where_; }

 private:
  Mark where_;
};

/// A name that nothing is registered under; lists the candidates, nearest first. Exit status 2.
class WHENCE_API UnknownName : public ConfigError {
 public:
  /// `kind` is what was looked for ("method", "key", ...).
  UnknownName(const Mark& where, std::string_view kind, std::string_view name,
              const std::vector<std::string>& candidates);
  ~UnknownName() override;
};

/// A plugin that cannot be used, or that failed at work. `stage` names the step that failed: "manifest", "open",
/// "descriptor", "register", "create", "attribute"... Exit status 3.
class WHENCE_API PluginError : public Error {
 public:
  PluginError(const std::string& path, const std::string& stage, const std::string& text);
  ~PluginError() override;
  const std::string& path() const noexcept { return path_; }
  const std::string& stage() const noexcept { return stage_; }

 private:
  std::string path_, stage_;
};

/// A checkpoint or tokenizer that is missing, damaged or not supported. Exit status 4.
class WHENCE_API ModelError : public Error {
 public:
  explicit ModelError(const std::string& text);
  ~ModelError() override;
};

/// Texts, positions or data files that cannot be attributed, or a result file that cannot be read. Exit status 5.
class WHENCE_API InputError : public Error {
 public:
  explicit InputError(const std::string& text);
  ~InputError() override;
};

/// Two results that should agree and do not. Exit status 6.
class WHENCE_API DisagreementError : public Error {
 public:
  explicit DisagreementError(const std::string& text);
  ~DisagreementError() override;
};

/// The candidate with the smallest edit distance to `name`, or empty when none is near (more than a third differs).
WHENCE_API std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace whence
