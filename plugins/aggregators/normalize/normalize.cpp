#include "whence/aggregator.h"
#include "whence/plugin.h"
#include "whence/reduce.h"

namespace {

class Normalize final : public whence::Aggregator {
 public:
  void apply(whence::SequenceAttribution& sequence) const override {
    whence::normalize_columns(sequence.source_attributions, sequence.target_attributions);
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("normalize", [](const whence::Params&) { return std::make_unique<Normalize>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
