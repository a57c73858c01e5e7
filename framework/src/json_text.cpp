#include "json_text.h"

#include <cmath>
#include <limits>

#include "gzip.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;
constexpr int kDeepestValue = 64;
constexpr int kIndent = 4;

constexpr std::string_view kNan = "NaN", kInfinity = "Infinity", kMinusInfinity = "-Infinity";

/// Numbers that JSON lacks are read as texts that begin with `marker`, which must not occur in the document.
std::string mark_non_finite(std::string_view text, const std::string& marker) {
  std::string marked;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      marked.append(text, i++, 2);
      continue;
    }
    if (c == '"') quoted = !quoted;
    std::string_view literal;
    if (!quoted && (c == 'N' || c == 'I' || c == '-'))
      for (const std::string_view known : {kNan, kInfinity, kMinusInfinity})
        if (text.substr(i).starts_with(known)) literal = known;
    if (literal.empty()) {
      marked += c;
      continue;
    }
    marked.append("\"").append(marker).append(literal).append("\"");
    i += literal.size() - 1;
  }
  return marked;
}

std::string unused_marker(std::string_view text) {
  std::string marker = "number:";
  while (text.find(marker) != std::string_view::npos) marker.insert(marker.begin(), '_');
  return marker;
}

json parse(std::string_view text, const std::string& place, const std::string& marker) {
  if (json document = json::parse(text, nullptr, false); !document.is_discarded()) return document;
  const std::string marked = mark_non_finite(text, marker);
  try {
    return json::parse(marked);
  } catch (const json::parse_error& error) {
    const auto line = 1 + std::ranges::count(std::string_view(marked).substr(0, error.byte), '\n');
    throw InputError(place + ":" + std::to_string(line) + ": " +
                     (error.byte >= marked.size() ? "the text ends early" : "not JSON") +
                     "; the file is cut off or no result file");
  } catch (const json::out_of_range&) {
    throw InputError(place + ": holds a number too large to read");
  }
}

Value value_of(const json& part, const JsonDocument& document, const std::string& place, int depth) {
  if (depth > kDeepestValue)
    throw InputError(place + ": nested deeper than " + std::to_string(kDeepestValue) + " levels");
  switch (part.type()) {
    case json::value_t::boolean:
      return Value(part.get<bool>());
    case json::value_t::number_unsigned:
      if (part.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) return Value(part.get<double>());
      [[fallthrough]];
    case json::value_t::number_integer:
      return Value(part.get<std::int64_t>());
    case json::value_t::number_float:
      return Value(part.get<double>());
    case json::value_t::string:
      if (const auto number = number_of(part, document)) return Value(*number);
      return Value(part.get_ref<const std::string&>());
    case json::value_t::array: {
      Value::List list;
      for (const json& member : part) list.push_back(value_of(member, document, place, depth + 1));
      return Value(std::move(list));
    }
    case json::value_t::object: {
      Value::Map map;
      for (const auto& [key, member] : part.items())
        map.emplace_back(key, value_of(member, document, place, depth + 1));
      return Value(std::move(map));
    }
    default:
      return Value();
  }
}

/// As json::dump with ASCII letters only, but writes NaN and infinities as Python does instead of null.
template <class Json>
void write(const Json& value, int depth, std::string& out) {
  const auto new_line = [&](int indent) {
    out.append(1, '\n').append(static_cast<std::size_t>(indent * kIndent), ' ');
  };
  if (value.is_structured() && !value.empty()) {
    out += value.is_object() ? '{' : '[';
    bool first = true;
    for (const auto& [key, member] : value.items()) {
      if (!std::exchange(first, false)) out += ',';
      new_line(depth + 1);
      if (value.is_object()) out += json_scalar(key) + ": ";
      write(member, depth + 1, out);
    }
    new_line(depth);
    out += value.is_object() ? '}' : ']';
  } else if (value.is_number_float() && !std::isfinite(value.template get<double>())) {
    const auto number = value.template get<double>();
    out += std::isnan(number) ? kNan : number > 0 ? kInfinity : kMinusInfinity;
  } else {
    out += json_scalar(value);
  }
}

template <class Json>
std::string written(const Json& value) {
  std::string text;
  write(value, 0, text);
  return text += '\n';
}

}  // namespace

JsonDocument read_json(std::string_view bytes, const std::string& place) {
  const std::string unpacked = is_gzip(bytes) ? gunzip(bytes, kMostBytes, place) : std::string();
  const std::string_view text = is_gzip(bytes) ? unpacked : bytes;
  JsonDocument document{.value = {}, .marker = unused_marker(text), .place = place};
  document.value = parse(text, place, document.marker);
  return document;
}

Value value_of(const json& part, const JsonDocument& document, const std::string& place) {
  return value_of(part, document, place, 0);
}

std::optional<double> number_of(const json& part, const JsonDocument& document) {
  if (part.is_number()) return part.get<double>();
  if (!part.is_string() || !part.get_ref<const std::string&>().starts_with(document.marker)) return {};
  const std::string literal = part.get_ref<const std::string&>().substr(document.marker.size());
  if (literal == kNan) return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return literal == kInfinity ? infinity : -infinity;
}

std::string json_text(const json& value) { return written(value); }
std::string json_text(const nlohmann::ordered_json& value) { return written(value); }
std::string json_scalar(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace); }

}  // namespace whence
