#include "whence/method.h"
#include "whence/plugin.h"

namespace {

using whence::PointPlace;
using whence::Side;
using whence::Tensor;

/// Gradients under noise, whose size goes with the spread of each token's embedding: a row then depends on no other.
class SmoothGrad final : public whence::Method {
 public:
  explicit SmoothGrad(const whence::Params& params)
      : samples_(params.get<std::int64_t>("n_samples")),
        noise_(params.get<double>("noise")),
        absolute_(params.get<bool>("abs")),
        product_(params.get<std::string>("of") == "input_x_gradient") {
    const auto statistic = params.get<std::string>("statistic");
    moment_ = statistic == "variance"      ? whence::Moment::variance
              : statistic == "mean_square" ? whence::Moment::squares
                                           : whence::Moment::sum;
  }

  whence::Attribution attribute(const whence::Problem& problem) const override {
    whence::Points points{.count = samples_, .weight = 1 / static_cast<double>(samples_), .moment = moment_};
    points.rows = [&](const PointPlace& place) {
      const Tensor& input = problem.embeddings(place.side)[place.sequence];
      const char* purpose = place.side == Side::source ? "smoothgrad source" : "smoothgrad target";
      const Tensor noise = problem.random(place.sequence, purpose, place.point).normal(input.sizes()).to(at::kFloat);
      return input + noise_ * noise * input.std(-1, /*unbiased=*/false, /*keepdim=*/true);
    };
    if (product_) points.factor = points.rows;
    const whence::PointGradients gradients = problem.gradients(points, {.absolute = absolute_});
    whence::Attribution attribution{
        .source = gradients.source, .target = gradients.target, .granularity = gradients.granularity};
    if (gradients.error.defined()) attribution.step_scores["error_estimate"] = gradients.error;
    return attribution;
  }

 private:
  std::int64_t samples_;
  double noise_;
  bool absolute_, product_;
  whence::Moment moment_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("smoothgrad", [](const whence::Params& params) { return std::make_unique<SmoothGrad>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
