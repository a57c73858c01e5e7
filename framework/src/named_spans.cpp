#include "whence/named_spans.h"

#include <unicode/utf8.h>

#include <algorithm>

#include "whence/error.h"

namespace whence {
namespace {

Span read_range(const Value& value) {
  const Value::List& ends = value.as_list();
  if (ends.size() != 2)
    throw ConfigError(value.mark(), "expected [start, end], found a list of " + std::to_string(ends.size()));
  const Span range{ends[0].as_int(), ends[1].as_int()};
  if (range.start < 0 || range.start >= range.end)
    throw ConfigError(value.mark(), "expected 0 <= start < end, found [" + std::to_string(range.start) + ", " +
                                        std::to_string(range.end) + ")");
  return range;
}

SpanChoice read_choice(const Value& value) {
  SpanChoice choice;
  choice.where = value.mark();
  if (value.is_string()) {
    choice.text = value.as_string();
  } else {
    value.require_known_keys({"text", "characters", "tokens", "name", "side"});
    const Value* const text = value.find("text");
    const Value* const characters = value.find("characters");
    const Value* const tokens = value.find("tokens");
    if ((text != nullptr) + (characters != nullptr) + (tokens != nullptr) != 1)
      throw ConfigError(value.mark(), "a span is given by one of text, characters and tokens");
    if (text) choice.text = text->as_string();
    if (characters) choice.by = SpanChoice::By::characters, choice.range = read_range(*characters);
    if (tokens) choice.by = SpanChoice::By::tokens, choice.range = read_range(*tokens);
    if (const Value* name = value.find("name")) choice.name = name->as_string();
    if (const Value* side = value.find("side")) {
      if (side->as_string() != "source" && side->as_string() != "target")
        throw UnknownName(side->mark(), "side", side->as_string(), {"source", "target"});
      choice.side = side->as_string() == "source" ? Side::source : Side::target;
    }
  }
  if (choice.by == SpanChoice::By::text && choice.text.empty())
    throw ConfigError(value.mark(), "expected the text of a span, found an empty one");
  return choice;
}

std::string shown(const SpanChoice& choice) {
  if (choice.by == SpanChoice::By::text) return "the span '" + choice.text + "'";
  return std::string("the span of ") + (choice.by == SpanChoice::By::tokens ? "tokens [" : "characters [") +
         std::to_string(choice.range.start) + ", " + std::to_string(choice.range.end) + ")";
}

/// Bytes of a range of characters; the text's size where it has no such character.
Span bytes_of(const std::string& text, const Span& characters) {
  const auto after = [&](std::int64_t count) {
    std::size_t at = 0;
    for (; count > 0 && at < text.size(); --count) U8_FWD_1(text.data(), at, text.size());
    return static_cast<std::int64_t>(count > 0 ? text.size() + 1 : at);
  };
  return {after(characters.start), after(characters.end)};
}

/// Tokens that write a letter within some bytes; blanks count where there is nothing else.
Span tokens_in(const TokenText& text, const Span& bytes) {
  const auto in = [&](const auto& counts) {
    Span tokens{-1, -1};
    for (std::size_t i = 0; i < text.bytes.size(); ++i) {
      const Span both{std::max(bytes.start, text.bytes[i].start), std::min(bytes.end, text.bytes[i].end)};
      if (both.start >= both.end || !counts(both)) continue;
      if (tokens.start < 0) tokens.start = static_cast<std::int64_t>(i);
      tokens.end = static_cast<std::int64_t>(i) + 1;
    }
    return tokens;
  };
  const Span letters = in([&](const Span& both) {
    return text.text.find_first_not_of(" \t\r\n\f\v", static_cast<std::size_t>(both.start)) <
           static_cast<std::size_t>(both.end);
  });
  return letters.start >= 0 ? letters : in([](const Span&) { return true; });
}

std::vector<Span> places_of(const TokenText& text, const SpanChoice& choice) {
  const auto positions = std::ssize(text.bytes), size = std::ssize(text.text);
  std::vector<Span> places;
  if (choice.by == SpanChoice::By::tokens) {
    if (choice.range.end <= positions) places.push_back(choice.range);
  } else if (choice.by == SpanChoice::By::characters) {
    if (const Span bytes = bytes_of(text.text, choice.range); bytes.end <= size)
      places.push_back(tokens_in(text, bytes));
  } else {
    for (std::size_t at = 0; (at = text.text.find(choice.text, at)) != std::string::npos; at += choice.text.size())
      places.push_back(
          tokens_in(text, {static_cast<std::int64_t>(at), static_cast<std::int64_t>(at + choice.text.size())}));
  }
  return places;
}

}  // namespace

std::vector<SpanChoice> read_span_choices(const Value& value) {
  std::vector<SpanChoice> choices;
  for (const Value& item : value.as_list()) choices.push_back(read_choice(item));
  return choices;
}

std::vector<Label> find_spans(const TokenText& text, const std::vector<SpanChoice>& choices, const std::string& place) {
  std::vector<Label> spans;
  for (const SpanChoice& choice : choices) {
    const std::vector<Span> places = places_of(text, choice);
    if (places.empty())
      throw InputError(place + ": " + shown(choice) + " is not in the text, which has " +
                       std::to_string(text.bytes.size()) + " tokens that write '" + text.text +
                       "'; write it as it stands there");
    for (const Span& span : places) {
      const Span first = text.bytes[span.start], last = text.bytes[span.end - 1];
      std::string name = choice.name;
      if (name.empty())
        name = choice.by == SpanChoice::By::text ? choice.text : text.text.substr(first.start, last.end - first.start);
      spans.push_back({std::move(name), span});
    }
  }
  std::sort(spans.begin(), spans.end(), [](const Label& a, const Label& b) { return a.span.start < b.span.start; });
  for (std::size_t i = 1; i < spans.size(); ++i)
    if (spans[i].span.start < spans[i - 1].span.end)
      throw InputError(place + ": the spans '" + spans[i - 1].name + "' and '" + spans[i].name +
                       "' share a token; give spans that do not overlap");
  return spans;
}

}  // namespace whence
