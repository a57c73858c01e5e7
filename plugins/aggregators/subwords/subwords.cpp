#include "whence/aggregator.h"
#include "whence/merge_spans.h"
#include "whence/plugin.h"
#include "word_spans.h"

namespace {

class Subwords final : public whence::Aggregator {
 public:
  explicit Subwords(const whence::Params& params)
      : source_(params.get<bool>("aggregate_source")),
        target_(params.get<bool>("aggregate_target")),
        marking_{.continues = params.get<bool>("is_suffix_symbol"),
                 .as_reference = params.get<std::string>("compat") == "reference"} {
    if (params.has("special_chars")) marking_.markers = params.get<std::vector<std::string>>("special_chars");
    if (params.has("function")) function_ = params.get<std::string>("function");
  }

  void apply(whence::SequenceAttribution& sequence) const override {
    whence::MergeRequest request;
    if (source_) request.source_spans = words_of(sequence.source);
    if (target_) request.target_spans = words_of(sequence.target);
    if (!function_.empty()) request.reduction = request.step_reduction = function_;
    whence::merge_spans(sequence, request);
  }

 private:
  std::vector<whence::Span> words_of(const std::vector<whence::Token>& tokens) const {
    WordMarking marking = marking_;
    if (marking.markers.empty()) marking.markers = detect_markers(tokens);
    return word_spans(tokens, marking);
  }

  bool source_, target_;
  WordMarking marking_;
  std::string function_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("subwords", [](const whence::Params& params) { return std::make_unique<Subwords>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
