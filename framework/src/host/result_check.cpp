#include "host/result_check.h"

#include <ATen/ops/isinf.h>

#include <algorithm>
#include <set>

#include "whence/error.h"

namespace whence::host {
namespace {

using Names = std::vector<std::string>;

std::string list_text(const Names& entries) {
  std::string text = "[";
  for (const std::string& entry : entries) text += (text.size() > 1 ? "," : "") + entry;
  return text + "]";
}

Names texts_of(at::IntArrayRef sizes) {
  Names texts;
  for (const std::int64_t size : sizes) texts.push_back(std::to_string(size));
  return texts;
}

/// The first dims of a tensor have the sizes wanted, the others are as many as have names.
struct Shape {
  std::vector<std::int64_t> sizes;
  Names named;

  bool fits(const Tensor& tensor) const {
    return tensor.dim() == std::ssize(sizes) + std::ssize(named) &&
           std::equal(sizes.begin(), sizes.end(), tensor.sizes().begin());
  }
  std::string text() const {
    Names entries = texts_of(sizes);
    entries.insert(entries.end(), named.begin(), named.end());
    return list_text(entries);
  }
};

/// Checks what one call of a plugin returned.
class Check {
 public:
  Check(const std::string& path, const char* stage) : path_(path), stage_(stage) {}

  /// `letters` say what the sizes are.
  void shape(const std::string& what, const Tensor& tensor, const Shape& expected, const std::string& letters) const {
    if (!expected.fits(tensor))
      fail(what + " has shape " + list_text(texts_of(tensor.sizes())) + ", expected " + expected.text() + ": " +
           letters);
    if (!tensor.is_floating_point()) fail(what + " holds no floating-point numbers");
  }

  [[noreturn]] void fail(const std::string& text) const {
    throw PluginError(
        path_, stage_,
        "returned at stage '" + std::string(stage_) + "': " + text + "; report this to the plugin's author");
  }

 private:
  const std::string& path_;
  const char* stage_;
};

}  // namespace

void check_attribution(const Attribution& attribution, const Problem& problem, const std::string& path) {
  const Check check(path, "attribute");
  const std::int64_t batch = problem.batch_size(), steps = problem.steps();
  const auto rows = [&](const char* what, const Tensor& tensor, Side side, const std::string& letters) {
    const Shape expected{{batch, problem.length(side), steps}, attribution.granularity};
    if (tensor.defined()) check.shape(what, tensor, expected, letters + " and the dims named in granularity");
  };
  rows("source", attribution.source, Side::source, "sequences, source rows, steps");
  rows("target", attribution.target, Side::target, "sequences, target rows, steps");
  for (const auto& [name, scores] : attribution.step_scores)
    check.shape("step score '" + name + "'", scores, {{batch, steps}, {}}, "sequences, steps");
  for (const auto& [name, map] : attribution.sequence_scores)
    if (map.dim() < 3 || map.size(0) != batch)
      check.fail("sequence score '" + name + "' has shape " + list_text(texts_of(map.sizes())) + ", expected " +
                 Shape{{batch}, {"rows", "columns", "..."}}.text());
}

void check_scores(const Tensor& scores, const StepInputs& inputs, const std::string& path) {
  const Check check(path, "score");
  if (!scores.defined()) check.fail("no scores");
  check.shape("the score", scores, {inputs.target_ids.sizes().vec(), {}}, "sequences, steps");
}

void check_sequence(const SequenceAttribution& sequence, const std::string& path) {
  const Check check(path, "aggregate");
  const Span& steps = sequence.steps;
  if (steps.start < 0 || steps.end < steps.start || steps.end > std::ssize(sequence.target))
    check.fail("steps [" + std::to_string(steps.start) + ", " + std::to_string(steps.end) + ") of " +
               std::to_string(sequence.target.size()) + " target tokens");
  const auto rows = [&](const char* what, const Tensor& tensor, std::int64_t count, const std::string& letters) {
    const Shape expected{{count, steps.size()}, sequence.granularity};
    if (tensor.defined()) check.shape(what, tensor, expected, letters + " and the dims named in granularity");
  };
  rows("source_attributions", sequence.source_attributions, std::ssize(sequence.source), "source tokens, steps");
  rows("target_attributions", sequence.target_attributions, steps.end, "target tokens up to the last step, steps");
  for (const auto& [name, scores] : sequence.step_scores)
    if (scores.dim() != 1 || scores.size(0) != steps.size())
      check.fail("step score '" + name + "' has shape " + list_text(texts_of(scores.sizes())) + ", expected " +
                 Shape{{steps.size()}, {}}.text() + ": steps");
}

void check_reduction(const Tensor& reduced, const Tensor& values, const std::string& path) {
  const Check check(path, "aggregate");
  if (!reduced.defined()) check.fail("nothing made of hidden units");
  check.shape("what hidden units were reduced to", reduced, {values.sizes().slice(0, values.dim() - 1).vec(), {}},
              "all dims but the last");
}

void check_measures(const std::vector<Measure>& measures, const Evaluation& evaluation, const std::string& path) {
  const Check check(path, "measure");
  if (measures.empty()) check.fail("no measure");
  std::set<std::string> names;
  const Shape expected{
      {std::ssize(evaluation.attributions), evaluation.ablations.texts(), evaluation.ablations.problem().steps()}, {}};
  for (const Measure& measure : measures) {
    if (measure.name.empty()) check.fail("a measure without a name");
    if (!names.insert(measure.name).second) check.fail("the measure '" + measure.name + "' twice");
    if (!measure.values.defined()) check.fail("the measure '" + measure.name + "' without numbers");
    check.shape("the measure '" + measure.name + "'", measure.values, expected, "attributions, sequences, steps");
    if (measure.values.isinf().any().item<bool>())
      check.fail("the measure '" + measure.name + "' with infinite numbers");
  }
}

}  // namespace whence::host
