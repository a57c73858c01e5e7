#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include "whence/error.h"
#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/sampled_path.h"
#include "whence/target_layer.h"

namespace {

using whence::PointPlace;
using whence::Problem;
using whence::Side;
using whence::Tensor;

class ExpectedGradients final : public whence::Method {
 public:
  explicit ExpectedGradients(const whence::Params& params)
      : path_(whence::sampled_path(params, kName)), layer_(params) {
    if (layer_.every()) throw whence::ConfigError("target_layer: a path begins at one layer, not at all; name a block");
    if (!params.has("references")) return;
    references_ = params.get<std::vector<std::string>>("references");
    if (references_.empty())
      throw whence::ConfigError("references: no text; name at least one, or leave it out for random tokens");
  }

  whence::Attribution attribute(const Problem& problem) const override {
    const auto& tokenizer = problem.model().tokenizer();
    std::vector<Tensor> ids[2];  // of the references, by Side
    for (const Side side : {Side::source, Side::target}) {
      if (problem.length(side) == 0) continue;
      for (const std::string& text : references_) {
        ids[static_cast<int>(side)].push_back(
            at::tensor(tokenizer.on(side).encode(text, {.add_special_tokens = false}).ids, at::kLong));
        if (ids[static_cast<int>(side)].back().numel() == 0)
          throw whence::ConfigError("references: '" + text + "' has no tokens; write a text of at least one");
      }
    }
    whence::SampledPath path = path_;
    path.layers = layer_.sites(problem);
    path.start = [&](const PointPlace& place) {
      return problem.model().embed(start_ids(problem, place, ids[static_cast<int>(place.side)]), place.side);
    };
    whence::Attribution attribution = whence::attribute_along(problem, path);
    attribution.notes = layer_.notes(problem);
    return attribution;
  }

 private:
  static constexpr const char* kName = "expected_gradients";

  /// [rows] ids of a drawn reference, again from its beginning where the text is longer; or of random tokens.
  Tensor start_ids(const Problem& problem, const PointPlace& place, const std::vector<Tensor>& references) const {
    const std::int64_t rows = problem.length(place.side);
    Tensor start;
    if (references_.empty()) {
      const std::string purpose = std::string(kName) + (place.side == Side::source ? " source" : " target");
      start = problem.random(place.sequence, purpose, place.point).choice(problem.model().info().vocabulary, rows);
    } else {
      // The same text on both sides.
      const auto drawn = problem.random(place.sequence, std::string(kName) + " reference", place.point)
                             .choice(std::ssize(references_), 1)
                             .item<std::int64_t>();
      const Tensor& text = references[static_cast<std::size_t>(drawn)];
      start = text.index_select(0, at::arange(rows, at::kLong).remainder(text.numel()));
    }
    // A decoder start token says nothing and keeps itself.
    if (place.side == Side::target && problem.model().info().kind == whence::ModelKind::encoder_decoder)
      start[0].copy_(problem.inputs().target.ids[place.sequence][0]);
    return start;
  }

  whence::SampledPath path_;
  whence::TargetLayer layer_;
  std::vector<std::string> references_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("expected_gradients",
                       [](const whence::Params& params) { return std::make_unique<ExpectedGradients>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
