#include <map>

#include "whence/aggregator.h"
#include "whence/error.h"
#include "whence/paired_aggregator.h"
#include "whence/plugin.h"

namespace {

using whence::ConfigError;
using whence::SequenceAttribution;
using whence::Tensor;
using whence::Token;

std::string shape_of(const Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  std::string text;
  for (const std::int64_t size : tensor.sizes()) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

void subtract(Tensor& ours, const Tensor& other, const std::string& what) {
  if (ours.defined() != other.defined() || (ours.defined() && ours.sizes() != other.sizes()))
    throw ConfigError(
        "pair: " + what + ": " + shape_of(ours) + " here and " + shape_of(other) +
        " there; expected the same shape of both; pair results of texts as long, with the same granularity");
  if (ours.defined()) ours = other - ours;
}

void subtract(std::map<std::string, Tensor>& ours, const std::map<std::string, Tensor>& others) {
  for (auto& [name, scores] : ours) {
    const auto other = others.find(name);
    subtract(scores, other == others.end() ? Tensor() : other->second, name);
  }
  for (const auto& [name, scores] : others)
    if (!ours.contains(name))
      throw ConfigError("pair: " + name + ": missing here; expected the same step scores of both; ask for it twice");
}

void join_tokens(std::vector<Token>& ours, const std::vector<Token>& others, const std::string& side) {
  if (ours.size() != others.size())
    throw ConfigError("pair: " + std::to_string(ours.size()) + " " + side + " tokens here and " +
                      std::to_string(others.size()) +
                      " there; expected as many in both; merge words first, or choose texts that are as long");
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (ours[i].text != others[i].text) ours[i] = {ours[i].text + " → " + others[i].text, -1};
}

class Pair final : public whence::Aggregator, public whence::PairedAggregator {
 public:
  explicit Pair(const whence::Params& params) : partner_(params.get<std::string>("with")) {}

  void apply(SequenceAttribution&) const override {
    throw ConfigError("pair: works only where the host finds the other result '" + partner_ + "'");
  }

  std::string partner() const override { return partner_; }

  void join(SequenceAttribution& sequence, const SequenceAttribution& other) const override {
    if (sequence.steps != other.steps)
      throw ConfigError("pair: explains positions [" + std::to_string(sequence.steps.start) + ", " +
                        std::to_string(sequence.steps.end) + ") here and [" + std::to_string(other.steps.start) + ", " +
                        std::to_string(other.steps.end) + ") there; expected the same of both");
    join_tokens(sequence.source, other.source, "source");
    join_tokens(sequence.target, other.target, "target");
    subtract(sequence.source_attributions, other.source_attributions, "source attributions");
    subtract(sequence.target_attributions, other.target_attributions, "target attributions");
    subtract(sequence.step_scores, other.step_scores);
    subtract(sequence.sequence_scores, other.sequence_scores);
  }

  const void* query(std::string_view capability) const override {
    return capability == kCapability ? static_cast<const PairedAggregator*>(this) : nullptr;
  }

 private:
  const std::string partner_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("pair", [](const whence::Params& params) { return std::make_unique<Pair>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
