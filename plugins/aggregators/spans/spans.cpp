#include "whence/aggregator.h"
#include "whence/merge_spans.h"
#include "whence/plugin.h"

namespace {

class Spans final : public whence::Aggregator {
 public:
  explicit Spans(const whence::Params& params) {
    if (params.has("source_spans")) request_.source_spans = params.get<std::vector<whence::Span>>("source_spans");
    if (params.has("target_spans")) request_.target_spans = params.get<std::vector<whence::Span>>("target_spans");
    if (params.has("function")) request_.reduction = request_.step_reduction = params.get<std::string>("function");
  }

  void apply(whence::SequenceAttribution& sequence) const override { whence::merge_spans(sequence, request_); }

 private:
  whence::MergeRequest request_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("spans", [](const whence::Params& params) { return std::make_unique<Spans>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
