#include "host/context_split.h"

#include <algorithm>

#include "host/context_text.h"
#include "host/encode_input.h"
#include "host/state_alignment.h"
#include "host/token_alignment.h"

namespace whence::host {
namespace {

/// A proper beginning of a text, or none.
using Beginning = std::optional<std::string>;

Beginning proper(const std::string& text, std::size_t length) {
  const std::string beginning = stripped(text.substr(0, length));
  if (beginning.empty() || stripped(text.substr(std::min(length, text.size()))).empty()) return {};
  // Blanks before it are part of the text.
  return text.substr(0, text.find(beginning) + beginning.size());
}

Beginning before_separator(const std::string& text, const std::string& separator) {
  // Spaces stand between all words.
  if (separator.find_first_not_of(' ') == std::string::npos) return {};
  const std::size_t at = text.find(separator);
  if (at == std::string::npos || text.find(separator, at + separator.size()) != std::string::npos) return {};
  return proper(text, at);
}

/// Where the sentences of a text end, in bytes.
std::vector<std::size_t> sentence_ends(const std::string& text, const std::string& language) {
  TokenText letters{.text = text, .bytes = {}, .special = {}};
  for (std::int64_t i = 0; i < std::ssize(text); ++i)
    if ((static_cast<unsigned char>(text[static_cast<std::size_t>(i)]) & 0xC0) != 0x80 || letters.bytes.empty())
      letters.bytes.push_back({i, i + 1});
    else
      letters.bytes.back().end = i + 1;
  letters.special.resize(letters.bytes.size(), false);
  std::vector<std::size_t> ends;
  for (const Label& sentence : units_of(letters, UnitKind::sentence, language))
    ends.push_back(static_cast<std::size_t>(letters.bytes[static_cast<std::size_t>(sentence.span.end - 1)].end));
  return ends;
}

Beginning sentences(const ContextTask& task, const std::string& text) {
  const std::string& language = task.spec.unit_language;
  const std::size_t count = std::max<std::size_t>(1, sentence_ends(task.input_context, language).size());
  const std::vector<std::size_t> ends = sentence_ends(text, language);
  return ends.size() > count ? proper(text, ends[count - 1]) : std::nullopt;
}

/// By the alignment that is asked for, unless it only counts.
Beginning aligned(const ContextTask& task, const std::string& text) {
  const AlignmentChoice& alignment = task.spec.alignment;
  const bool states = alignment.way == AlignmentWay::states && task.options.find_aligner;
  if (task.input_context.empty() || (!states && alignment.way != AlignmentWay::tokens)) return {};
  const Tokenizer& tokenizer = task.model.tokenizer().on(Side::target);
  const Encoding output = tokenizer.encode(text, {.add_special_tokens = false});
  const TokenIds context = tokenizer.encode(task.input_context, {.add_special_tokens = false}).ids;
  const std::vector<std::int64_t> partners =
      states ? align_by_states(task.options.find_aligner(alignment), alignment.layer, tokenizer, context, output.ids)
             : align_tokens(alignable_tokens(tokenizer, context), alignable_tokens(tokenizer, output.ids));
  if (partners.empty()) return {};
  const std::int64_t last = std::ranges::max(partners);
  if (last < 0) return {};
  std::size_t end = 0;  // in bytes
  for (std::int64_t left = output.offsets[static_cast<std::size_t>(last)].end; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && left-- == 0) break;
  return proper(text, text.find_first_of(" \t\r\n", end));
}

std::string ask(const ContextTask& task, const std::string& question) {
  if (task.options.ask)
    if (const auto answer = task.options.ask(question)) return stripped(*answer);
  throw InputError(place_of(task.how) +
                   ": nobody says which beginning of the output is its context; give output_context_text, or choose "
                   "the strategy 'auto'");
}

bool confirmed(const ContextTask& task, const std::string& question) {
  for (std::string problem;;) {
    const std::string answer = ask(task, problem + question + " [y/n]");
    if (answer == "y" || answer == "yes") return true;
    if (answer == "n" || answer == "no") return false;
    problem = "Please answer y or n. ";
  }
}

std::string asked(const ContextTask& task, const std::string& output, const Beginning& candidate) {
  const std::string shown = "The model wrote: " + output + "\n";
  if (candidate && confirmed(task, shown + "Is its context '" + *candidate + "'?")) return *candidate;
  for (std::string problem = candidate ? "" : shown;;) {
    const std::string context = ask(task, problem + "Which beginning of it is context? Nothing for none.");
    const std::size_t at = output.find_first_not_of(" \t\r\n");
    if (context.empty() && confirmed(task, "Has the output no context?")) return "";
    if (!context.empty() && output.compare(at, context.size(), context) == 0)
      return output.substr(0, at + context.size());
    problem = context.empty() ? "" : "'" + context + "' is not what the output begins with: " + output + "\n";
  }
}

}  // namespace

std::string divided_context(const ContextTask& task, const std::string& output) {
  Beginning candidate = before_separator(output, task.templates.output.between());
  if (!candidate) candidate = sentences(task, output);
  if (!candidate) candidate = aligned(task, output);
  if (task.spec.output_context == OutputContextStrategy::manual) return asked(task, output, candidate);
  if (candidate) return *candidate;
  throw InputError(place_of(task.how) + ": no beginning of the generated output " + quoted(output) +
                   " can be told as its context: it is a single sentence, and does not hold what the output template "
                   "has between {context} and {current}; give output_context_text");
}

}  // namespace whence::host
