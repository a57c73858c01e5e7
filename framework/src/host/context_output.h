#pragma once

#include <optional>
#include <string>

#include "host/context.h"
#include "host/context_template.h"

namespace whence::host {

/// The output that is looked at, in its two parts.
struct ContextOutput {
  std::optional<std::string> context;  ///< absent where the output template has none
  std::string current;
  bool generated = false;
};

/// Everything that a text is prepared with.
struct ContextTask {
  const Model& model;
  const ContextInput& input;
  const ContextSpec& spec;
  const GenerationConfig& generation;
  const ContextOptions& options;
  const ContextTemplates& templates;
  InputText how;                ///< id, languages and place of the input, for the tokenizer and errors
  std::string input_context;    ///< the given one or that of the documents; may be empty
  std::vector<Span> documents;  ///< their bytes in it
  TokenIds kept;                ///< special tokens that count as text
};

/// The parts of the output that are not given: generated behind what the output template has before them, and divided
/// as the strategy says. Throws InputError for an output without text, and where no context can be told from it.
ContextOutput prepare_output(const ContextTask& task);

}  // namespace whence::host
