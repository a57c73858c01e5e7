#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "whence/method.h"
#include "whence/plugin.h"
#include "whence/single_text.h"

namespace {

using whence::Problem;
using whence::Side;
using whence::SingleText;
using whence::Tensor;

/// Vector-Jacobian products of one text: the squared norms at every token of what arrives from cotangents of its
/// logits.
class TextScope {
 public:
  TextScope(const Problem& problem, std::int64_t sequence)
      : model_(problem.model()),
        text_(problem, sequence),
        forward_(model_.forward(text_.inputs, {.positions = text_.positions, .trace = true})) {}

  /// Next-token probabilities [T,V] of its own steps.
  Tensor probabilities() const { return at::softmax(forward_.logits[0], -1); }
  const SingleText& text() const { return text_; }

  /// Squared norms [S,T] and [L,T] of J^T c for the cotangents c [T,V] of the steps, see there.
  std::pair<Tensor, Tensor> squared_norms(const Tensor& cotangents) const {
    return text_.squared_norms([&](std::int64_t first, std::int64_t count, const whence::PullBackRequest& request) {
      return model_.pull_back(forward_, {cotangents.narrow(0, first, count).unsqueeze(0), first}, request);
    });
  }

 private:
  const whence::Model& model_;
  const SingleText text_;
  const whence::Forward forward_;
};

/// tr(J_r^T F J_r), with J_r the Jacobian of the logits at the embedding of token r and F = diag(p) - p p^T the Fisher
/// information of the predicted distribution in its logits.
class FisherScope final : public whence::Method {
 public:
  explicit FisherScope(const whence::Params& params)
      : samples_(params.get<std::int64_t>("n_samples")), exact_(params.get<bool>("exact")) {}

  whence::Attribution attribute(const Problem& problem) const override {
    std::vector<Tensor> sources, targets, errors;
    for (std::int64_t b = 0; b < problem.batch_size(); ++b) {
      const TextScope text(problem, b);
      const Tensor p = text.probabilities();
      const std::int64_t count = exact_ ? p.size(1) : samples_;
      Tensor mean[2], deviations[2];  // source and target
      for (std::int64_t k = 0; k < count; ++k) {
        const auto norms = text.squared_norms(exact_ ? of_token(p, k) : drawn(problem, text, p, b, k));
        const Tensor both[2] = {norms.first, norms.second};
        for (const int i : {0, 1}) {
          if (k == 0) mean[i] = at::zeros_like(both[i]), deviations[i] = at::zeros_like(both[i]);
          const Tensor before = both[i] - mean[i];
          mean[i] += before / static_cast<double>(k + 1);
          deviations[i] += before * (both[i] - mean[i]);
        }
      }
      // All tokens of the vocabulary are summed, draws are averaged.
      const double scale = exact_ ? static_cast<double>(count) : 1;
      sources.push_back(mean[0] * scale);
      targets.push_back(mean[1] * scale);
      if (!exact_ && count > 1) errors.push_back(relative_error(mean, deviations, count));
    }
    whence::Attribution attribution;
    if (problem.attributes(Side::source)) attribution.source = at::stack(sources);
    if (problem.attributes(Side::target)) attribution.target = at::stack(targets);
    if (!errors.empty()) attribution.step_scores["error_estimate"] = at::stack(errors);
    return attribution;
  }

 private:
  /// Square root of p_v times the cotangents [T,V] of log p_v: their outer products add up to F.
  static Tensor of_token(const Tensor& p, std::int64_t token) {
    Tensor cotangents = -p;
    cotangents.select(1, token).add_(1);
    return cotangents * p.narrow(1, token, 1).sqrt();
  }

  /// Random cotangents [T,V] with covariance F, from signs drawn for each position (Hutchinson's estimator).
  static Tensor drawn(const Problem& problem, const TextScope& text, const Tensor& p, std::int64_t sequence,
                      std::int64_t sample) {
    std::vector<Tensor> signs;
    for (std::int64_t t = 0; t < text.text().steps(); ++t) {
      const std::string purpose = "fisher_scope " + std::to_string(text.text().positions[0][t].item<std::int64_t>());
      signs.push_back(problem.random(sequence, purpose, sample).uniform({p.size(1)}) < 0.5);
    }
    const Tensor root = p.sqrt();
    const Tensor noise = at::where(at::stack(signs), root, -root);
    return noise - p * noise.sum(-1, /*keepdim=*/true);
  }

  /// [T]: sum over tokens of the standard errors of their means, over the sum of these means.
  static Tensor relative_error(const Tensor (&mean)[2], const Tensor (&deviations)[2], std::int64_t count) {
    const auto n = static_cast<double>(count);
    Tensor error, size;
    for (const int i : {0, 1}) {
      const Tensor of_side = (deviations[i] / (n * (n - 1))).sqrt().sum(0);
      error = i == 0 ? of_side : error + of_side;
      size = i == 0 ? mean[i].sum(0) : size + mean[i].sum(0);
    }
    return error / size.clamp_min(1e-30);
  }

  std::int64_t samples_;
  bool exact_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("fisher_scope",
                       [](const whence::Params& params) { return std::make_unique<FisherScope>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
