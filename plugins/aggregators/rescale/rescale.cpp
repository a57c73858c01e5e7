#include "whence/aggregator.h"
#include "whence/plugin.h"
#include "whence/reduce.h"

namespace {

class Rescale final : public whence::Aggregator {
 public:
  void apply(whence::SequenceAttribution& sequence) const override {
    whence::rescale_by_maximum(sequence.source_attributions, sequence.target_attributions);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("rescale", [](const whence::Params&) { return std::make_unique<Rescale>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
