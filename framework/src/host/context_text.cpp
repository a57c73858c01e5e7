#include "host/context_text.h"

#include <algorithm>

#include "host/encode_input.h"

namespace whence::host {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

/// The byte at which each character begins, and the end of the text.
std::vector<std::int64_t> character_starts(const std::string& text) {
  std::vector<std::int64_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(static_cast<std::int64_t>(i));
  starts.push_back(std::ssize(text));
  return starts;
}

ReadText read_text(const Model& model, const InputText& how, const std::string& text, Side side, const TokenIds& kept) {
  const bool starts = side == Side::target && model.info().kind == ModelKind::encoder_decoder;
  ReadText read{.text = text, .ids = starts ? decoder_start(model) : TokenIds(), .bytes = {}, .is_added = {}};
  read.bytes.resize(read.ids.size());
  read.is_added.resize(read.ids.size(), true);
  // What ends a target plays no part in what comes before.
  const Encoding encoding = encode_with_places(model.tokenizer(), how, text, side, /*open=*/side == Side::target);
  const std::vector<std::int64_t> bytes = character_starts(text);
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const Span& characters = encoding.offsets[i];
    read.ids.push_back(encoding.ids[i]);
    read.bytes.push_back(
        {bytes.at(static_cast<std::size_t>(characters.start)), bytes.at(static_cast<std::size_t>(characters.end))});
    read.is_added.push_back(encoding.special[i] || is_dropped(model.tokenizer().on(side), kept, encoding.ids[i]));
  }
  return read;
}

/// For each part the tokens whose first letter it has, or of blanks alone their beginning. A separator of its own
/// between two parts belongs to neither.
std::vector<std::vector<std::int64_t>> rows_of(const ReadText& read, const std::vector<Span>& parts) {
  std::vector<std::vector<std::int64_t>> rows(parts.size());
  for (std::size_t i = 0; i < read.ids.size(); ++i) {
    if (read.is_added[i]) continue;
    const Span& own = read.bytes[i];
    const std::size_t letter = read.text.find_first_not_of(kBlanks, static_cast<std::size_t>(own.start));
    const bool blank = letter == std::string::npos || static_cast<std::int64_t>(letter) >= own.end;
    const std::int64_t byte = blank ? own.start : static_cast<std::int64_t>(letter);
    const auto part =
        std::ranges::find_if(parts, [&](const Span& span) { return span.start <= byte && byte < span.end; });
    if (part != parts.end())
      rows[static_cast<std::size_t>(part - parts.begin())].push_back(static_cast<std::int64_t>(i));
  }
  return rows;
}

std::optional<Span> moved(const std::optional<Span>& span, std::int64_t by) {
  return span ? std::optional<Span>({span->start + by, span->end + by}) : std::nullopt;
}

void check_lengths(const Model& model, const InputText& how, const ReadTexts& texts) {
  if (texts.source) check_length(model, how, texts.source->ids.size(), "the source with its template", 0);
  check_length(model, how, texts.target.ids.size(),
               texts.source ? "the target with its template" : "the input and output with their templates", 0);
}

}  // namespace

std::string joined(const std::string& a, const std::string& separator, const std::string& b) {
  return a.ends_with(separator) || b.starts_with(separator) ? a + b : a + separator + b;
}

std::string stripped(const std::string& text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

TokenIds kept_specials(const Model& model, const ContextSpec& spec) {
  TokenIds kept;
  for (const std::string& entry : spec.special_tokens_to_keep) {
    const std::size_t before = kept.size();
    for (const Side side : {Side::source, Side::target})
      if (const auto id = model.tokenizer().on(side).id(entry)) kept.push_back(*id);
    if (kept.size() == before)
      throw ConfigError("special_tokens_to_keep: the vocabulary of model '" + model.info().name + "' has no token '" +
                        entry + "'; write it as the vocabulary does, or leave it out");
  }
  return kept;
}

bool is_dropped(const Tokenizer& tokenizer, const TokenIds& kept, std::int64_t id) {
  return std::ranges::binary_search(tokenizer.all_special_ids(), id) && std::ranges::find(kept, id) == kept.end();
}

std::string written(const Tokenizer& tokenizer, const TokenIds& kept, const TokenIds& ids) {
  TokenIds text;
  std::ranges::copy_if(ids, std::back_inserter(text),
                       [&](std::int64_t id) { return !is_dropped(tokenizer, kept, id); });
  return tokenizer.decode(text, /*skip_special_tokens=*/false);
}

TokenText ReadText::part(const Span& part, const std::vector<std::int64_t>& rows) const {
  TokenText cut{.text = text.substr(static_cast<std::size_t>(part.start), static_cast<std::size_t>(part.size())),
                .bytes = {},
                .special = std::vector<bool>(rows.size(), false)};
  for (const std::int64_t row : rows) {
    const Span& own = bytes[static_cast<std::size_t>(row)];
    const auto inside = [&](std::int64_t byte) { return std::clamp<std::int64_t>(byte - part.start, 0, part.size()); };
    cut.bytes.push_back({inside(own.start), inside(own.end)});
  }
  return cut;
}

ReadTexts read_texts(const Model& model, const InputText& how, const FilledText& input, const FilledText& output,
                     const std::string& separator, const TokenIds& kept) {
  ReadTexts texts;
  texts.input_context = input.context;
  std::int64_t before = 0;  // bytes of the target before the output
  if (model.info().kind == ModelKind::encoder_decoder) {
    texts.source = read_text(model, how, input.text, Side::source, kept);
    texts.target = read_text(model, how, output.text, Side::target, kept);
  } else {
    const std::string text = joined(input.text, separator, output.text);
    before = std::ssize(text) - std::ssize(output.text);
    texts.target = read_text(model, how, text, Side::target, kept);
  }
  texts.output_context = moved(output.context, before);
  texts.output = *moved(output.current, before);
  check_lengths(model, how, texts);

  const Span input_context = input.context.value_or(Span());
  const auto rows = rows_of(
      texts.target, {texts.output, texts.output_context.value_or(Span()), texts.source ? Span() : input_context});
  texts.output_rows = rows[0];
  texts.output_context_rows = rows[1];
  texts.input_context_rows = texts.source ? rows_of(*texts.source, {input_context})[0] : rows[2];
  if (texts.output_rows.empty() || texts.output_rows.front() < 1)
    throw InputError(place_of(how) + ": the tokenizer makes no token of the current output " +
                     quoted(texts.target.text.substr(static_cast<std::size_t>(texts.output.start),
                                                     static_cast<std::size_t>(texts.output.size()))) +
                     " that has one before it; give another text");
  return texts;
}

Sequence sequence_of(const Model& model, const std::string& id, const ReadTexts& texts) {
  Sequence sequence;
  sequence.id = id;
  if (texts.source) sequence.source = tokens_of(model.tokenizer().on(Side::source), texts.source->ids);
  sequence.target = tokens_of(model.tokenizer().on(Side::target), texts.target.ids);
  return sequence;
}

}  // namespace whence::host
