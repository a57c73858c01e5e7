#include "page_data.h"

#include <algorithm>
#include <array>

#include "page_json.h"
#include "text.h"
#include "whence/error.h"

namespace whence::html {
namespace {

using drawing::printable;
using nlohmann::json;

json side(const std::vector<Token>& tokens, const std::vector<Label>& labels, Vocabulary vocabulary,
          drawing::TokenForm form) {
  json texts = json::array(), breaks = json::array(), stretches = json::array();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    texts.push_back(drawing::token_label(tokens[i], vocabulary, form, " "));
    if (entry_text(tokens[i].text, vocabulary).find('\n') != std::string::npos) breaks.push_back(i);
  }
  for (const Label& label : labels)
    if (!label.name.empty())
      stretches.push_back({{"name", printable(label.name)}, {"start", label.span.start}, {"end", label.span.end}});
  return {{"tokens", std::move(texts)}, {"breaks", std::move(breaks)}, {"labels", std::move(stretches)}};
}

class Data {
 public:
  Data(const AttributionOutput& output, const PageOptions& options) : output_(output), options_(options) {}

  json make() {
    json sequences = json::array();
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) sequences.push_back(sequence(i));
    // Maps get the room that attributions leave.
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) add_maps(sequences[i], output_.sequences[i]);
    return {{"palettes", palettes()},
            {"scale", options_.max_value ? *options_.max_value : drawing::largest_magnitude(output_)},
            {"sequences", std::move(sequences)}};
  }

 private:
  json sequence(std::size_t index) {
    const SequenceAttribution& sequence = output_.sequences[index];
    const Vocabulary vocabulary = vocabulary_of(sequence.source, sequence.target);
    json parts = json::array(), step_scores = json::array();
    const bool source = sequence.source_attributions.defined(), target = sequence.target_attributions.defined();
    if (source) parts.push_back(part("source", sequence.source_attributions, index));
    if (target) parts.push_back(part("target", sequence.target_attributions, index));
    for (const auto& [name, values] : sequence.step_scores)
      step_scores.push_back({{"name", printable(name)},
                             {"whole", !values.is_floating_point()},
                             {"values", encoded(values, at::kDouble)}});
    return {{"title", drawing::sequence_text(output_, index)},
            {"start", sequence.steps.start},
            {"end", sequence.steps.end},
            {"dims", dims(sequence)},
            {"source", side(sequence.source, sequence.source_labels, vocabulary, options_.tokens)},
            {"target", side(sequence.target, sequence.target_labels, vocabulary, options_.tokens)},
            {"parts", std::move(parts)},
            {"stepScores", std::move(step_scores)}};
  }

  static json dims(const SequenceAttribution& sequence) {
    const Tensor& scores =
        sequence.target_attributions.defined() ? sequence.target_attributions : sequence.source_attributions;
    return scores.defined() ? dims(sequence, scores) : json::array();
  }

  /// Those after rows and columns, named as far as they are known.
  static json dims(const SequenceAttribution& sequence, const Tensor& scores) {
    json list = json::array();
    for (std::size_t i = 0; i < static_cast<std::size_t>(scores.dim() - 2); ++i)
      list.push_back(
          {{"name", i < sequence.granularity.size() ? drawing::replace_all(printable(sequence.granularity[i]), "_", " ")
                                                    : "dim " + std::to_string(i + 2)},
           {"size", scores.size(2 + static_cast<std::int64_t>(i))}});
    return list;
  }

  /// Maps between tokens, as `merge_spans` tells their sides by their names; those that don't fit the tokens or the
  /// page are left out.
  void add_maps(json& data, const SequenceAttribution& sequence) {
    json& maps = data["maps"] = json::array();
    std::vector<std::string> left_out;
    for (const auto& [name, scores] : sequence.sequence_scores) {
      const bool within_target = name.starts_with("decoder"), within_source = name.starts_with("encoder");
      const std::vector<Token>& rows = within_target ? sequence.target : sequence.source;
      const std::vector<Token>& columns = within_source ? sequence.source : sequence.target;
      const bool of_steps = !within_target && !within_source && scores.size(1) == sequence.steps.size();
      const std::int64_t start = of_steps ? sequence.steps.start : 0, end = start + scores.size(1);
      const std::int64_t bytes = encoded_size(scores.numel() * static_cast<std::int64_t>(sizeof(float)));
      if (scores.size(0) > std::ssize(rows) || end > std::ssize(columns) || bytes_ + bytes > options_.max_bytes) {
        left_out.push_back(name);
        continue;
      }
      bytes_ += bytes;
      maps.push_back({{"name", drawing::replace_all(printable(name), "_", " ")},
                      {"columns", within_source ? "source" : "target"},
                      {"start", start},
                      {"end", end},
                      {"dims", dims(sequence, scores)},
                      {"parts",
                       {{{"name", within_target ? "target" : "source"},
                         {"rows", scores.size(0)},
                         {"scores", encoded(scores, at::kFloat)}}}}});
    }
    data["remark"] = drawing::remark(sequence, left_out);
  }

  json part(const std::string& name, const Tensor& scores, std::size_t index) {
    const std::string place = "html: sequence " + std::to_string(index);
    const std::int64_t dims = 2 + std::ssize(output_.sequences[index].granularity);
    if (scores.dim() != dims)
      throw ConfigError(place + " has " + name + " scores of " + std::to_string(scores.dim()) + " dims, expected " +
                        std::to_string(dims) + " by its granularity; aggregate them first, for example with mean");
    bytes_ += encoded_size(scores.numel() * static_cast<std::int64_t>(sizeof(float)));
    if (bytes_ > options_.max_bytes)
      throw ConfigError(place + ": the scores take " + std::to_string(bytes_ / 1'000'000 + 1) +
                        " MB or more, expected at most " + std::to_string(options_.max_bytes / 1'000'000) +
                        " (max_megabytes); aggregate them, for example with mean, or raise it");
    return {{"name", name}, {"rows", scores.size(0)}, {"scores", encoded(scores, at::kFloat)}};
  }

  const AttributionOutput& output_;
  const PageOptions& options_;
  std::int64_t bytes_ = 0;  ///< of scores so far
};

}  // namespace

std::string page_data(const AttributionOutput& output, const PageOptions& options) {
  return script_text(Data(output, options).make());
}

}  // namespace whence::html
