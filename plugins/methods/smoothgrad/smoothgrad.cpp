#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/site_rows.h"
#include "whence/target_layer.h"

namespace {

using whence::PointPlace;
using whence::Side;
using whence::Tensor;

/// Gradients under noise, whose size goes with the spread of each token's row: a row then depends on none behind it.
class SmoothGrad final : public whence::Method {
 public:
  explicit SmoothGrad(const whence::Params& params)
      : samples_(params.get<std::int64_t>("n_samples")),
        noise_(params.get<double>("noise")),
        absolute_(params.get<bool>("abs")),
        product_(params.get<std::string>("of") == "input_x_gradient"),
        layer_(params) {
    if (layer_.every()) throw whence::ConfigError("target_layer: noise goes to one layer, not to all; name a block");
    const auto statistic = params.get<std::string>("statistic");
    moment_ = statistic == "variance"      ? whence::Moment::variance
              : statistic == "mean_square" ? whence::Moment::squares
                                           : whence::Moment::sum;
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::SiteRows sites(problem, layer_.sites(problem));
    whence::Points points{.count = samples_, .weight = 1 / static_cast<double>(samples_), .moment = moment_};
    points.rows = [&](const PointPlace& place) {
      const Tensor input = sites.input(place.sequence, place.side);
      const char* purpose = place.side == Side::source ? "smoothgrad source" : "smoothgrad target";
      const Tensor noise = problem.random(place.sequence, purpose, place.point).normal(input.sizes()).to(at::kFloat);
      return input + noise_ * noise * input.std(-1, /*unbiased=*/false, /*keepdim=*/true);
    };
    if (product_) points.factor = points.rows;
    const whence::PointGradients gradients =
        problem.gradients(points, {.absolute = absolute_, .layers = layer_.sites(problem)});
    whence::Attribution attribution{.source = gradients.source,
                                    .target = gradients.target,
                                    .granularity = gradients.granularity,
                                    .notes = layer_.notes(problem)};
    if (gradients.error.defined()) attribution.step_scores["error_estimate"] = gradients.error;
    return attribution;
  }

 private:
  std::int64_t samples_;
  double noise_;
  bool absolute_, product_;
  whence::Moment moment_;
  whence::TargetLayer layer_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("smoothgrad", [](const whence::Params& params) { return std::make_unique<SmoothGrad>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
