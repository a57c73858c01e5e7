#include "whence/result_json.h"

#include "json_text.h"
#include "result_format.h"
#include "tensor_blob.h"

namespace whence {
namespace {

using nlohmann::json;
using namespace result_format;

json instance(std::string_view module, std::string_view name, json attributes) {
  return {{kType, {module, name}}, {kAttributes, std::move(attributes)}};
}

json to_json(const std::vector<Token>& tokens) {
  json list = json::array();
  for (const Token& token : tokens)
    list.push_back(instance(kTokenModule, kTokenClass, {{"id", token.id}, {"token", token.text}}));
  return list;
}

json to_json(const std::vector<Label>& labels) {
  json list = json::array();
  for (const Label& label : labels) {
    json entry{{"name", label.name}, {"start", label.span.start}, {"end", label.span.end}};
    if (label.kind != LabelKind::span) entry["kind"] = label.kind == LabelKind::content ? kContent : kMarkup;
    if (label.turn >= 0) entry["turn"] = label.turn;
    list.push_back(std::move(entry));
  }
  return list;
}

/// Tensors with one value per cell in the asked precision. Magnitudes that it cannot hold would come back as NaN or
/// infinity, that is, as something else.
class ScoreWriter {
 public:
  explicit ScoreWriter(ScoresPrecision precision) : precision_(precision) {}

  json operator()(const Tensor& scores, const std::string& name) const {
    if (!scores.defined()) return nullptr;
    if (precision_ == ScoresPrecision::float32 || !scores.is_floating_point()) return to_tensor_blob(scores);
    const bool half = precision_ == ScoresPrecision::float16;
    const double largest = scores.numel() ? scores.abs().nan_to_num(0.0).max().item<double>() : 0.0;
    if (largest > (half ? 65504.0 : 448.0))
      throw ConfigError("scores of " + name + " reach " + json_scalar(largest) + ", more than " +
                        (half ? "float16 can hold (65504)" : "float8 can hold (448)") + "; save them as float32");
    return to_tensor_blob(scores.to(half ? at::kHalf : at::kFloat8_e4m3fn));
  }

 private:
  ScoresPrecision precision_;
};

std::string_view class_of(const std::vector<std::string>& granularity) {
  if (granularity.empty()) return kCoarse;
  return granularity == std::vector<std::string>{"hidden"} ? kGranular : kMultiDimensional;
}

json to_json(const SequenceAttribution& sequence, const ScoreWriter& write) {
  json step_scores = json::object();
  for (const auto& [name, scores] : sequence.step_scores) step_scores[name] = to_tensor_blob(scores);
  json sequence_scores = json::object();
  for (const auto& [name, scores] : sequence.sequence_scores) sequence_scores[name] = write(scores, "'" + name + "'");
  json attributes = {
      {"source", to_json(sequence.source)},
      {"target", to_json(sequence.target)},
      {"attr_pos_start", sequence.steps.start},
      {"attr_pos_end", sequence.steps.end},
      {"source_attributions", write(sequence.source_attributions, "the source")},
      {"target_attributions", write(sequence.target_attributions, "the target")},
      {"step_scores", std::move(step_scores)},
      {"sequence_scores", std::move(sequence_scores)},
  };
  const std::string_view name = class_of(sequence.granularity);
  // Without it the reference's loader forgets how such a result is averaged for display.
  if (name == kMultiDimensional) attributes[kNumDimensions] = sequence.granularity.size();
  json object = instance(kOutputModule, name, std::move(attributes));
  object[kExtras] = {{"granularity", sequence.granularity},
                     {"source_labels", to_json(sequence.source_labels)},
                     {"target_labels", to_json(sequence.target_labels)},
                     {"step_score_merges", sequence.step_score_merges}};
  return object;
}

}  // namespace

std::string to_result_json(const AttributionOutput& output, ScoresPrecision precision) {
  const ScoreWriter write(precision);
  json sequences = json::array();
  for (const SequenceAttribution& sequence : output.sequences) sequences.push_back(to_json(sequence, write));
  const json document = instance(kOutputModule, kOutput,
                                 {{"info", json_of<json>(Value(output.info))},
                                  {"sequence_attributions", std::move(sequences)},
                                  {"step_attributions", nullptr}});
  return json_text(document);
}

}  // namespace whence
