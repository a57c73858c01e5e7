#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/attribution_spec.h"
#include "host/contrast_text.h"
#include "whence/strong_scores.h"
#include "whence/units.h"

namespace whence::host {

/// A passage of an input context that cues are cited by.
struct ContextDocument {
  std::string name;  ///< empty: its number, from 1
  std::string text;

  bool operator==(const ContextDocument&) const = default;
};

/// One text whose reliance on context is asked for.
struct ContextInput {
  std::string id = "0";                              ///< keys what methods draw at random
  std::string input_current;                         ///< the prompt, or the source of an encoder-decoder; not empty
  std::optional<std::string> input_context;          ///< absent: the documents, if there are any
  std::vector<ContextDocument> documents;            ///< not together with `input_context`
  std::optional<std::string> output_context;         ///< what the output begins with, as context of the rest
  std::optional<std::string> output_current;         ///< absent: generated
  std::vector<std::string> contextless_next_tokens;  ///< a contrastive word for each selected token, by falling
                                                     ///< sensitivity; none: generated
  std::string src_lang, tgt_lang;                    ///< as in InputText
  Mark where;

  bool operator==(const ContextInput& other) const;  ///< `where` aside
};

/// A text with {context} and {current} to be filled in; {{ and }} are braces.
struct ContextTemplate {
  std::string text;
  Mark where;  ///< for errors, e.g. the option that it was given with

  bool operator==(const ContextTemplate& other) const { return text == other.text; }
};

/// Where the context of an output comes from when the template has one and none is given.
enum class OutputContextStrategy {
  manual,     ///< a person confirms or says which beginning of the output it is
  automatic,  ///< "auto": what stands before the text between {context} and {current}, else the first sentence, else
              ///< what the input context is aligned with
  given,      ///< "pre": it must be given
};

/// Throws UnknownName for anything but "manual", "auto" and "pre".
OutputContextStrategy output_context_strategy(const std::string& name, const Mark& where);
std::string name_of(OutputContextStrategy strategy);

/// How context tokens make the score of a unit.
enum class UnitScore {
  sum,     ///< what all of it counts for
  absmax,  ///< its strongest token, with its sign
};

/// Throws UnknownName for anything but "sum" and "absmax".
UnitScore unit_score(const std::string& name, const Mark& where);
std::string name_of(UnitScore score);

/// What `unit_kind` takes as this.
std::string name_of(UnitKind kind);

/// How context reliance is found (PECoRe, arXiv:2310.01188; docs/context-attribution.md).
struct ContextSpec {
  /// Absent: "{context} {current}" where that context is given, else "{current}".
  std::optional<ContextTemplate> input_template, output_template;
  ContextTemplate contextless_input{"{current}", {}}, contextless_output{"{current}", {}};
  std::string separator = " ";                      ///< decoder-only: between input and output
  std::vector<std::string> special_tokens_to_keep;  ///< raw entries; other special tokens of contexts are no cues
  OutputContextStrategy output_context = OutputContextStrategy::manual;

  /// What says how sensitive a token is to context. A function that compares texts has P without context and Q with it,
  /// another one sees the text with context.
  Choice sensitivity{"kl_divergence", {}, {}};
  AlignmentChoice alignment;  ///< of the output without context and that with it
  StrongScores sensitive;     ///< sensitivities of the selected tokens

  /// How a selected token is attributed. Its aggregation is that of the cue scores; absent: that of the granularity.
  AttributionSpec attribution{.name = "cues", .method = {"saliency", {}, {}}};
  StrongScores cues;                             ///< scores that are shown as cues; the result has all
  bool ask_for_contextless_next_tokens = false;  ///< a person says the contrastive word of each selected token

  std::optional<UnitKind> cue_units;  ///< absent: the documents; without documents tokens alone are cited
  UnitScore unit_score = UnitScore::sum;
  std::string unit_language = "en";         ///< whose abbreviations end no sentence
  std::string document_separator = "\n\n";  ///< between documents of the input context

  bool operator==(const ContextSpec&) const = default;
};

}  // namespace whence::host
