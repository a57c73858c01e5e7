#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <set>
#include <sstream>

#include "whence/aggregator.h"
#include "whence/error.h"
#include "whence/hidden_reduction.h"
#include "whence/plugin.h"
#include "whence/reduce.h"

namespace {

using whence::ConfigError;
using whence::Tensor;

enum class Scaling { none, normalize, rescale };

Scaling scaling_from(const whence::Params& params) {
  const bool rescale = params.get<bool>("rescale");
  const bool normalize = params.has("normalize") ? params.get<bool>("normalize") : !rescale;
  if (normalize && rescale)
    throw ConfigError("normalize: cannot be joined with rescale, expected at most one of them; leave normalize out");
  return normalize ? Scaling::normalize : rescale ? Scaling::rescale : Scaling::none;
}

/// Which entries of the reduced dim take part.
class Selection {
 public:
  explicit Selection(const whence::Params& params) {
    if (params.has("index")) index_ = params.get<std::int64_t>("index");
    if (params.has("range")) range_ = params.get<whence::Span>("range");
    if (params.has("indices")) indices_ = params.get<std::vector<std::int64_t>>("indices");
    if (index_.has_value() + range_.has_value() + indices_.has_value() > 1)
      throw ConfigError("index, range and indices: expected at most one of them; drop the others");
  }

  bool is_single() const { return index_.has_value(); }

  /// The one entry to keep instead of reducing, if a single index was given.
  std::optional<std::int64_t> single(std::int64_t size) const {
    if (!index_) return std::nullopt;
    return from_start("index", *index_, size);
  }

  /// Empty when every entry takes part.
  std::string description() const {
    std::string text;
    if (index_) text = std::to_string(*index_);
    if (range_) text = "[" + std::to_string(range_->start) + ", " + std::to_string(range_->end) + ")";
    if (indices_)
      for (const std::int64_t index : *indices_) text += (text.empty() ? "" : ", ") + std::to_string(index);
    return text;
  }

  Tensor apply(const Tensor& values) const {
    const std::int64_t size = values.size(-1);
    if (range_) {
      const std::int64_t start = range_->start < 0 ? range_->start + size : range_->start;
      const std::int64_t end = range_->end < 0 ? range_->end + size : range_->end;
      if (start < 0 || end > size || start >= end)
        throw ConfigError("range: [" + std::to_string(range_->start) + ", " + std::to_string(range_->end) +
                          "] holds no entry of a dimension of " + std::to_string(size) + "; ranges are [start, end)");
      return values.narrow(-1, start, end - start);
    }
    if (!indices_) return values;
    std::set<std::int64_t> chosen;
    for (const std::int64_t index : *indices_)
      if (!chosen.insert(from_start("indices", index, size)).second)
        throw ConfigError("indices: " + std::to_string(index) + " is given twice; list every index once");
    if (chosen.empty()) throw ConfigError("indices: the list is empty; give at least one index");
    return values.index_select(-1, at::tensor(std::vector<std::int64_t>(chosen.begin(), chosen.end()), at::kLong));
  }

 private:
  static std::int64_t from_start(const std::string& name, std::int64_t index, std::int64_t size) {
    if (index < -size || index >= size)
      throw ConfigError(name + ": " + std::to_string(index) + " is outside a dimension of " + std::to_string(size) +
                        "; expected " + std::to_string(-size) + " to " + std::to_string(size - 1));
    return index < 0 ? index + size : index;
  }

  std::optional<std::int64_t> index_;
  std::optional<whence::Span> range_;
  std::optional<std::vector<std::int64_t>> indices_;
};

class Scores final : public whence::Aggregator, public whence::HiddenReduction {
 public:
  explicit Scores(const whence::Params& params)
      : function_(params.get<std::string>("function")),
        norm_order_(params.get<double>("norm_order")),
        selection_(params),
        scaling_(scaling_from(params)) {}

  void apply(whence::SequenceAttribution& sequence) const override {
    if (!sequence.source_attributions.defined() && !sequence.target_attributions.defined()) return;
    if (sequence.granularity.empty())
      throw ConfigError(
          "scores: attributions hold one value for each token and step, no dimension is left to reduce; "
          "leave this stage out, or scale them with the aggregator normalize or rescale");
    for (Tensor* scores : {&sequence.source_attributions, &sequence.target_attributions})
      if (scores->defined()) *scores = reduce(*scores);
    sequence.granularity.pop_back();
    finish(sequence);
  }

  const void* query(std::string_view capability) const override {
    return capability == HiddenReduction::kCapability ? static_cast<const HiddenReduction*>(this) : nullptr;
  }

  Tensor reduce(const Tensor& values) const override {
    if (const auto index = selection_.single(values.size(-1))) return values.select(-1, *index);
    return whence::reduce(selection_.apply(values), -1, function_, norm_order_);
  }

  bool is_sum() const override { return function_ == "sum" && selection_.description().empty(); }

  std::string description() const override {
    const std::string entries = selection_.description();
    if (selection_.is_single()) return "entry " + entries;
    std::ostringstream text;
    text << function_;
    if (function_ == "vnorm") text << " of order " << norm_order_;
    return text.str() + (entries.empty() ? "" : " of the entries " + entries);
  }

  void finish(whence::SequenceAttribution& sequence) const override {
    for (auto& [name, map] : sequence.sequence_scores)
      if (map.dim() > 2) map = reduce(map);
    if (scaling_ == Scaling::normalize)
      whence::normalize_columns(sequence.source_attributions, sequence.target_attributions);
    if (scaling_ == Scaling::rescale)
      whence::rescale_by_maximum(sequence.source_attributions, sequence.target_attributions);
  }

 private:
  std::string function_;
  double norm_order_;
  Selection selection_;
  Scaling scaling_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("scores", [](const whence::Params& params) { return std::make_unique<Scores>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
