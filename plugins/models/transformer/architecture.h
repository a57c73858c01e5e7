#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hyper_parameters.h"
#include "whence/error.h"
#include "whence/model.h"
#include "whence/value.h"

namespace whence::transformer {

/// In which order a fused projection holds the rows of queries, keys and values.
enum class FusedLayout {
  stacked,   ///< all queries, all keys, all values
  grouped,   ///< for each head of keys: its queries, its key, its value
  four_qvk,  ///< four parts, each with a quarter of the queries, the values, the keys
};

/// Names of the weights of one checkpoint format, without ".weight" and ".bias". See docs/architecture-yaml.md.
struct WeightNames {
  std::string body_prefix;          ///< start of every name of the body; checkpoints saved without the head lack it
  bool interleaved_rotary = false;  ///< query and key rows are stored for rotary pairs (2i, 2i+1) instead of halves
  double gain_offset = 0;           ///< added to stored gains of norms
  FusedLayout layout = FusedLayout::stacked;
  std::set<std::string, std::less<>> transposed;  ///< roles whose matrices are stored [in,out]
  std::vector<std::string> ignored;               ///< ends of names of tensors that hold nothing to be learnt
  /// By role, which "encoder." or "decoder." may stand before; "{layer}" stands for the number of the block, "{expert}"
  /// and "{head}" for those of what has tensors of its own.
  std::map<std::string, std::vector<std::string>, std::less<>> names;
  Mark mark;

  /// Whether there is a name for a role of a stack, which is "", "encoder" or "decoder".
  bool has(std::string_view stack, std::string_view role) const;
  /// The names for `role`, of which a checkpoint uses one; ConfigError when the architecture gives none.
  const std::vector<std::string>& alternatives(std::string_view stack, std::string_view role) const;
};

/// One architecture file: which checkpoints it is for, the options of its blocks and the names of its weights.
struct Architecture {
  std::string name;
  ModelKind kind = ModelKind::decoder_only;
  std::vector<std::string> model_types;         ///< `model_type` in config.json
  std::vector<std::string> class_names;         ///< `architectures` in config.json; the first is reported for GGUF
  std::vector<std::string> gguf_architectures;  ///< `general.architecture` in GGUF
  std::map<CheckpointFormat, WeightNames> weights;
  Value options;  ///< the whole file; its keys are checked

  /// Throws ConfigError with file:line:column, UnknownName for a key that does not exist.
  static Architecture parse(const Value& file);
};

/// A value of a checkpoint that its architecture cannot be built with.
class OptionError : public ModelError {
 public:
  OptionError(const std::string& text, std::string key) : ModelError(text), key_(std::move(key)) {}
  /// As HyperParameters spells it; of an option that is missing, the first that it could have.
  const std::string& key() const { return key_; }

 private:
  std::string key_;
};

/// One option of an architecture, as a checkpoint sets it.
class Option {
 public:
  /// `key` is that of the checkpoint, empty for what the architecture file says itself.
  Option(Value value, std::string place, std::string key = {})
      : value_(std::move(value)), place_(std::move(place)), key_(std::move(key)) {}

  bool present() const { return !value_.is_null(); }
  const Value& value() const { return value_; }
  const std::string& place() const { return place_; }
  const std::string& key() const { return key_; }

  // Each throws OptionError (ConfigError when the architecture file itself is at fault).
  std::int64_t integer(std::int64_t min, std::int64_t max) const;
  double number(double min, double max) const;
  bool boolean() const;
  const std::string& text() const;
  std::vector<double> numbers() const;
  /// Index of `text()` in `names`; an unknown text is an error that lists them. `kind` says what is chosen.
  std::size_t choice(std::string_view kind, const std::vector<std::string>& names) const;
  [[noreturn]] void fail(const std::string& text) const;

 private:
  Value value_;
  std::string place_, key_;
};

/// The option `section`.`name` for one checkpoint: the value written in the architecture file, or the first of the keys
/// it names that the checkpoint has, or the default given there. Not present when none of these is. `stack` is "", or
/// "encoder" or "decoder", which may have sections of their own.
Option find_option(const Architecture& architecture, const HyperParameters& checkpoint, std::string_view stack,
                   std::string_view section, std::string_view name);

/// A value as error texts show it.
std::string describe(const Value& value);

/// Whether the checkpoint has the values of the architecture's `when` list, by which several architectures of one type
/// are told apart.
bool applies(const Architecture& architecture, const HyperParameters& checkpoint);

/// Throws OptionError when the checkpoint has a value that the architecture's `requires` list does not allow.
void check_requirements(const Architecture& architecture, const HyperParameters& checkpoint);

/// Every key of a checkpoint that a part of an architecture file names for that format: of `sizes`, of all there is.
std::vector<std::string> named_keys(const Value& part, CheckpointFormat format);

}  // namespace whence::transformer
