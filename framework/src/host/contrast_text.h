#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "whence/value.h"

namespace whence::host {

/// The token at position `step` of a text is compared with the one at position `contrast` of its contrastive target.
struct AlignedPair {
  std::int64_t step = 0, contrast = 0;

  bool operator==(const AlignedPair&) const = default;
};

/// How explained tokens find those that they are compared with.
enum class AlignmentWay {
  right,   ///< one to one, counted from the last explained token and the end of the contrastive target
  pairs,   ///< as given, the steps that are in no pair as `right`
  tokens,  ///< "auto": by equal and similar tokens
  states,  ///< by similar states of a model
};

struct AlignmentChoice {
  AlignmentWay way = AlignmentWay::right;
  std::vector<AlignedPair> pairs;     ///< of `pairs`; positions in tokens, at least 1, a step at most once
  std::string model;                  ///< of `states`: path of a checkpoint
  std::optional<std::int64_t> layer;  ///< of `states`: 0 what goes into the first block; default: two thirds of them
  Mark where;

  bool operator==(const AlignmentChoice& other) const;  ///< `where` aside
};

/// What a text is compared with, as the user gives it.
struct ContrastText {
  std::optional<std::string> target;  ///< in the form of InputText::generated
  std::optional<std::string> source;  ///< encoder-decoder models
  std::optional<AlignmentChoice> alignment;
  Mark where;

  bool operator==(const ContrastText& other) const;  ///< `where` aside
};

/// The keys that `parse_contrast` reads: contrast_target, contrast_source and contrast_alignment.
const std::vector<std::string>& contrast_keys();
/// What a mapping says under these keys; empty when it has none of them. The path of a model is relative to `base`.
/// Throws ConfigError.
std::optional<ContrastText> parse_contrast(const Value& value, const std::filesystem::path& base);
/// Gives a text what it doesn't say itself of what is said for all. An alignment goes only where there is a target.
void add_common(const ContrastText& common, std::optional<ContrastText>& own);
/// "right", "auto", a list of pairs, or {model, layer}.
AlignmentChoice parse_alignment(const Value& value, const std::filesystem::path& base);
/// What `parse_alignment` reads as this.
Value alignment_value(const AlignmentChoice& choice);
/// What `parse_contrast` reads as this.
Value::Map contrast_value(const ContrastText& contrast);

}  // namespace whence::host
