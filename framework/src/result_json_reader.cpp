#include "json_node.h"
#include "result_format.h"
#include "tensor_blob.h"
#include "whence/result_json.h"

namespace whence {
namespace {

using Node = JsonNode;
using namespace result_format;

/// The attributes of a tagged object whose class is one of `classes` of `module`; `found` receives which.
Node instance(const Node& node, const char* module, const std::vector<std::string>& classes, std::string& found) {
  const Node type = node.at(kType);
  const auto names = type.list();
  if (names.size() != 2) type.fail("expected a module and a class");
  found = names[1].text();
  if (names[0].text() == module && std::ranges::find(classes, found) != classes.end()) return node.at(kAttributes);
  std::string known;
  for (const std::string& name : classes) known += (known.empty() ? "" : ", ") + name;
  type.fail("unknown class '" + foreign_name(names[0].text() + "." + found) + "', expected " +
            (classes.size() > 1 ? "one of " : "") + module + "." + known);
}

std::vector<Token> read_tokens(const std::optional<Node>& node) {
  std::vector<Token> tokens;
  if (!node) return tokens;
  for (const Node& entry : node->list()) {
    std::string name;
    const Node attributes = instance(entry, kTokenModule, {kTokenClass}, name);
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
  const Node attributes = instance(node, kOutputModule, {kCoarse, kGranular, kMultiDimensional, kPlain}, name);
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
  const JsonDocument document = read_json(bytes, place);
  std::string name;
  const Node attributes = instance(Node(document), kOutputModule, {kOutput}, name);
  AttributionOutput output;
  if (const auto info = attributes.find("info")) output.info = info->map();
  for (const Node& sequence : attributes.at("sequence_attributions").list())
    output.sequences.push_back(read_sequence(sequence));
  return output;
}

}  // namespace whence
