#include "output_text.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "info.h"
#include "text.h"

namespace whence::drawing {

std::string heading(const AttributionOutput& output) {
  std::string line = info_text(output.info, "attribution_method");
  if (line.empty()) return line;
  if (const std::string function = info_text(output.info, "attributed_fn"); !function.empty())
    line += " of " + function;
  if (const std::string model = info_text(output.info, "model_name"); !model.empty()) line += ", " + model;
  return line;
}

std::string sequence_text(const AttributionOutput& output, std::size_t index) {
  const Value* texts = find_info(output.info, "generated_texts");
  if (texts && texts->is_list() && texts->as_list().size() == output.sequences.size() &&
      texts->as_list()[index].is_string())
    return printable(texts->as_list()[index].as_string());
  std::string text;
  const SequenceAttribution& sequence = output.sequences[index];
  const Vocabulary vocabulary = vocabulary_of(sequence.source, sequence.target);
  for (const Token& token : sequence.target) {
    const std::size_t arrow = token.text.rfind(kContrast);
    text +=
        entry_text(arrow == std::string::npos ? token.text : token.text.substr(arrow + kContrast.size()), vocabulary);
  }
  return printable(text.substr(std::min(text.find_first_not_of(' '), text.size())));
}

std::string token_label(const Token& token, Vocabulary vocabulary, TokenForm form, std::string_view blank) {
  if (form == TokenForm::raw) return printable(token.text);
  std::string text;
  std::string_view rest = token.text;
  for (;;) {
    const std::size_t arrow = rest.find(kContrast);
    text += replace_all(printable(entry_text(rest.substr(0, arrow), vocabulary)), " ", blank);
    if (arrow == std::string_view::npos) return text;
    text += kContrast;
    rest.remove_prefix(arrow + kContrast.size());
  }
}

std::vector<std::string> notes(const AttributionOutput& output) {
  std::vector<std::string> texts;
  const Value* list = find_info(output.info, "notes");
  if (!list || !list->is_list()) return texts;
  for (const Value& note : list->as_list())
    if (note.is_string()) texts.push_back(printable(note.as_string()));
  return texts;
}

bool has_attributions(const SequenceAttribution& sequence) {
  return sequence.source_attributions.defined() || sequence.target_attributions.defined();
}

std::string remark(const SequenceAttribution& sequence, const std::vector<std::string>& maps_left_out) {
  if (sequence.steps.size() == 0) return "no explained tokens";
  std::string maps;
  for (const std::string& name : maps_left_out) maps += (maps.empty() ? "" : ", ") + printable(name);
  if (!maps.empty()) return "not drawn: " + maps + " (maps between tokens)";
  const bool drawn = has_attributions(sequence) || !sequence.step_scores.empty() || !sequence.sequence_scores.empty();
  return drawn ? "" : "no scores";
}

std::string remark(const SequenceAttribution& sequence) {
  std::vector<std::string> maps;
  for (const auto& [name, scores] : sequence.sequence_scores) maps.push_back(name);
  return remark(sequence, maps);
}

std::string number_text(double value, int decimals, bool whole) {
  if (std::isnan(value)) return {};
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::abs(value) < 0.5 * std::pow(10.0, -decimals)) value = 0;  // no "-0.00"
  const auto format = std::abs(value) < 1e7 ? std::chars_format::fixed : std::chars_format::scientific;
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, whole ? 0 : decimals).ptr;
  return {buffer.data(), end};
}

double largest_magnitude(const AttributionOutput& output) {
  double largest = 0;
  for (const SequenceAttribution& sequence : output.sequences)
    for (const Tensor& scores : {sequence.source_attributions, sequence.target_attributions})
      if (scores.defined() && scores.numel() > 0) {
        const Tensor magnitudes = scores.detach().abs();
        largest = std::max(
            largest, at::where(at::isfinite(magnitudes), magnitudes, at::zeros_like(magnitudes)).max().item<double>());
      }
  return largest;
}

}  // namespace whence::drawing
