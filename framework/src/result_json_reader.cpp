#include <limits>
#include <nlohmann/json.hpp>

#include "foreign_name.h"
#include "gzip.h"
#include "result_format.h"
#include "tensor_blob.h"
#include "whence/result_json.h"

namespace whence {
namespace {

using nlohmann::json;
using namespace result_format;

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;
constexpr int kDeepestInfo = 64;

/// A JSON value, with the place to name in errors.
class Node {
 public:
  Node(const json& value, const std::string& file, std::string path = {})
      : value_(&value), file_(&file), path_(std::move(path)) {}

  const json& value() const { return *value_; }
  std::string place() const { return path_.empty() ? *file_ : *file_ + ": " + path_; }

  [[noreturn]] void fail(const std::string& text) const { throw InputError(place() + ": " + text); }
  [[noreturn]] void fail_type(const std::string& expected) const {
    fail("expected " + expected + ", found " + value_->type_name());
  }

  /// Member of an object; empty when absent or null.
  std::optional<Node> find(const std::string& key) const {
    if (!value_->is_object()) fail_type("an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return Node(*found, *file_, path_ + (path_.empty() ? "" : ".") + foreign_name(key));
  }
  Node at(const std::string& key) const {
    if (auto member = find(key)) return *member;
    fail("'" + key + "' is missing");
  }
  std::vector<Node> list() const {
    if (!value_->is_array()) fail_type("a list");
    std::vector<Node> nodes;
    nodes.reserve(value_->size());
    for (std::size_t i = 0; i < value_->size(); ++i)
      nodes.emplace_back((*value_)[i], *file_, path_ + "[" + std::to_string(i) + "]");
    return nodes;
  }
  const std::string& text() const {
    if (!value_->is_string()) fail_type("text");
    return value_->get_ref<const std::string&>();
  }
  std::int64_t integer() const {
    if (!value_->is_number_integer() ||
        (value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()))
      fail_type("an integer");
    return value_->get<std::int64_t>();
  }

  /// The attributes of a tagged object whose class is one of `classes` of `module`; `found` receives which.
  Node instance(const char* module, const std::vector<std::string>& classes, std::string& found) const {
    const Node type = at(kType);
    const auto names = type.list();
    if (names.size() != 2) type.fail("expected a module and a class");
    found = names[1].text();
    if (names[0].text() == module && std::ranges::find(classes, found) != classes.end()) return at(kAttributes);
    std::string known;
    for (const std::string& name : classes) known += (known.empty() ? "" : ", ") + name;
    type.fail("unknown class '" + foreign_name(names[0].text() + "." + found) + "', expected " +
              (classes.size() > 1 ? "one of " : "") + module + "." + known);
  }

 private:
  const json* value_;
  const std::string* file_;
  std::string path_;
};

/// JSON of Python knows three numbers that JSON lacks. They are read as texts that begin with `marker`, which must not
/// occur in the document.
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

json parse_document(std::string_view text, const std::string& place, const std::string& marker) {
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

/// `info` as a value. Numbers beyond 64 bits become floating point.
Value to_value(const json& value, const std::string& marker, const std::string& place, int depth = 0) {
  if (depth > kDeepestInfo)
    throw InputError(place + ": nested deeper than " + std::to_string(kDeepestInfo) + " levels");
  switch (value.type()) {
    case json::value_t::boolean:
      return Value(value.get<bool>());
    case json::value_t::number_unsigned:
      if (value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) return Value(value.get<double>());
      [[fallthrough]];
    case json::value_t::number_integer:
      return Value(value.get<std::int64_t>());
    case json::value_t::number_float:
      return Value(value.get<double>());
    case json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      if (!text.starts_with(marker)) return Value(text);
      const std::string literal = text.substr(marker.size());
      if (literal == kNan) return Value(std::numeric_limits<double>::quiet_NaN());
      const double infinity = std::numeric_limits<double>::infinity();
      return Value(literal == kInfinity ? infinity : -infinity);
    }
    case json::value_t::array: {
      Value::List list;
      for (const json& member : value) list.push_back(to_value(member, marker, place, depth + 1));
      return Value(std::move(list));
    }
    case json::value_t::object: {
      Value::Map map;
      for (const auto& [key, member] : value.items()) map.emplace_back(key, to_value(member, marker, place, depth + 1));
      return Value(std::move(map));
    }
    default:
      return Value();
  }
}

std::vector<Token> read_tokens(const std::optional<Node>& node) {
  std::vector<Token> tokens;
  if (!node) return tokens;
  for (const Node& entry : node->list()) {
    std::string name;
    const Node attributes = entry.instance(kTokenModule, {kTokenClass}, name);
    const auto id = attributes.find("id");
    tokens.push_back({attributes.at("token").text(), id ? id->integer() : -1});
  }
  return tokens;
}

LabelKind read_label_kind(const Node& label) {
  const auto kind = label.find("kind");
  if (!kind) return LabelKind::span;
  if (kind->text() == kContent) return LabelKind::content;
  if (kind->text() == kMarkup) return LabelKind::markup;
  kind->fail("'" + kind->text() + "' is no kind of label; expected content or markup");
}

std::vector<Label> read_labels(const std::optional<Node>& node, std::size_t count) {
  std::vector<Label> labels;
  if (!node) return labels;
  for (const Node& entry : node->list()) {
    const Span span{entry.at("start").integer(), entry.at("end").integer()};
    if (span.start < 0 || span.end < span.start || span.end > static_cast<std::int64_t>(count))
      entry.fail("label from " + std::to_string(span.start) + " to " + std::to_string(span.end) + " of " +
                 std::to_string(count) + " tokens");
    const auto turn = entry.find("turn");
    labels.push_back({entry.at("name").text(), span, read_label_kind(entry), turn ? turn->integer() : -1});
  }
  return labels;
}

Tensor read_tensor(const std::optional<Node>& node) {
  if (!node) return {};
  if (node->value().is_object() && node->value().contains("__ndarray__"))
    node->fail("an array as releases before the safetensors encoding wrote it; save the result again with a newer one");
  return from_tensor_blob(node->text(), node->place());
}

std::string shape_text(const Tensor& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.sizes()) text.append(text.empty() ? "[" : ",").append(std::to_string(size));
  return text.empty() ? "[]" : text + "]";
}

Tensor read_attributions(const Node& attributes, const std::string& key, std::int64_t rows, std::int64_t steps) {
  const auto node = attributes.find(key);
  const Tensor scores = read_tensor(node);
  if (scores.defined() && (scores.dim() < 2 || scores.size(0) != rows || scores.size(1) != steps))
    node->fail("tensor " + shape_text(scores) + " does not fit its tokens, expected [" + std::to_string(rows) + "," +
               std::to_string(steps) + ",...]");
  return scores;
}

std::map<std::string, Tensor> read_tensors(const std::optional<Node>& node, std::optional<std::int64_t> steps) {
  std::map<std::string, Tensor> tensors;
  if (!node) return tensors;
  if (!node->value().is_object()) node->fail_type("an object");
  for (const auto& [name, value] : node->value().items()) {
    const Node entry = node->at(name);
    const Tensor tensor = read_tensor(entry);
    if (steps ? tensor.dim() != 1 || tensor.size(0) != *steps : tensor.dim() < 2)
      entry.fail("tensor " + shape_text(tensor) + ", expected " +
                 (steps ? "[" + std::to_string(*steps) + "], one number per step" : std::string("two or more dims")));
    tensors.emplace(name, tensor);
  }
  return tensors;
}

/// The names of the dims after T. Files of the reference tell them by class and count only.
std::vector<std::string> read_granularity(const Node& node, const std::string& name, std::int64_t dims) {
  static const std::map<std::string, std::vector<std::string>> kNames = {
      {kPlain, {}}, {kCoarse, {}}, {kGranular, {"hidden"}}, {kMultiDimensional, {"layer", "head"}}};
  if (const auto extras = node.find(kExtras))
    if (const auto given = extras->find("granularity")) {
      std::vector<std::string> granularity;
      for (const Node& entry : given->list()) granularity.push_back(entry.text());
      if (static_cast<std::int64_t>(granularity.size()) != dims)
        given->fail("names " + std::to_string(granularity.size()) + " dims, the tensors have " + std::to_string(dims) +
                    " beyond tokens and steps");
      return granularity;
    }
  const auto& names = kNames.at(name);
  if (dims > static_cast<std::int64_t>(names.size()))
    node.fail("tensors with " + std::to_string(dims) + " dims beyond tokens and steps, a " + name + " has at most " +
              std::to_string(names.size()));
  return {names.begin(), names.begin() + dims};
}

SequenceAttribution read_sequence(const Node& node) {
  std::string name;
  const Node attributes = node.instance(kOutputModule, {kCoarse, kGranular, kMultiDimensional, kPlain}, name);
  SequenceAttribution sequence;
  sequence.source = read_tokens(attributes.find("source"));
  sequence.target = read_tokens(attributes.at("target"));
  const auto length = static_cast<std::int64_t>(sequence.target.size());
  const auto start = attributes.find("attr_pos_start"), end = attributes.find("attr_pos_end");
  sequence.steps = {start ? start->integer() : 0, end ? end->integer() : length};
  if (sequence.steps.start < 0 || sequence.steps.size() < 0 || sequence.steps.end > length)
    attributes.fail("explains positions " + std::to_string(sequence.steps.start) + " to " +
                    std::to_string(sequence.steps.end) + " of " + std::to_string(length) + " target tokens");

  const std::int64_t steps = sequence.steps.size();
  sequence.source_attributions =
      read_attributions(attributes, "source_attributions", static_cast<std::int64_t>(sequence.source.size()), steps);
  sequence.target_attributions = read_attributions(attributes, "target_attributions", sequence.steps.end, steps);
  const Tensor &source = sequence.source_attributions, &target = sequence.target_attributions;
  if (source.defined() && target.defined() && source.sizes().slice(2) != target.sizes().slice(2))
    attributes.fail("source tensor " + shape_text(source) + " and target tensor " + shape_text(target) +
                    " differ after the second dim");
  const Tensor& any = target.defined() ? target : source;
  sequence.granularity = read_granularity(node, name, any.defined() ? any.dim() - 2 : 0);
  sequence.step_scores = read_tensors(attributes.find("step_scores"), steps);
  sequence.sequence_scores = read_tensors(attributes.find("sequence_scores"), std::nullopt);

  if (const auto extras = node.find(kExtras)) {
    sequence.source_labels = read_labels(extras->find("source_labels"), sequence.source.size());
    sequence.target_labels = read_labels(extras->find("target_labels"), sequence.target.size());
    if (const auto merges = extras->find("step_score_merges")) {
      if (!merges->value().is_object()) merges->fail_type("an object");
      for (const auto& [score, merge] : merges->value().items())
        sequence.step_score_merges.emplace(score, merges->at(score).text());
    }
  }
  return sequence;
}

}  // namespace

AttributionOutput from_result_json(std::string_view bytes, const std::string& place) {
  const std::string unpacked = is_gzip(bytes) ? gunzip(bytes, kMostBytes, place) : std::string();
  const std::string_view text = is_gzip(bytes) ? unpacked : bytes;
  const std::string marker = unused_marker(text);
  const json document = parse_document(text, place, marker);

  std::string name;
  const Node attributes = Node(document, place).instance(kOutputModule, {kOutput}, name);
  AttributionOutput output;
  if (const auto info = attributes.find("info")) {
    if (!info->value().is_object()) info->fail_type("an object");
    output.info = to_value(info->value(), marker, info->place()).as_map();
  }
  for (const Node& sequence : attributes.at("sequence_attributions").list())
    output.sequences.push_back(read_sequence(sequence));
  return output;
}

}  // namespace whence
