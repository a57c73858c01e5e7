#include "whence/method.h"
#include "whence/plugin.h"

namespace {

/// Weights of the queries that predict the steps: [B,N,H,L,keys] -> [B,keys,T,N,H].
whence::Tensor predicting_rows(const whence::Problem& problem, const whence::Tensor& attentions) {
  const auto sizes = attentions.sizes();
  const whence::Tensor queries = problem.predicting_positions()
                                     .clamp_min(0)
                                     .view({sizes[0], 1, 1, problem.steps(), 1})
                                     .expand({sizes[0], sizes[1], sizes[2], problem.steps(), sizes[4]});
  const whence::Tensor rows = attentions.gather(3, queries).permute({0, 4, 3, 1, 2});
  return rows * problem.step_mask().view({sizes[0], 1, problem.steps(), 1, 1});
}

/// [B,N,H,queries,keys] -> [B,keys,queries,N,H]: attended tokens as rows.
whence::Tensor keys_first(const whence::Tensor& attentions) { return attentions.permute({0, 4, 3, 1, 2}); }

class Attention final : public whence::Method {
 public:
  whence::Attribution attribute(const whence::Problem& problem) const override {
    const whence::Forward pass = problem.observe({.attentions = true});
    whence::Attribution attribution{.granularity = {"layer", "head"}};
    if (problem.attributes(whence::Side::target))
      attribution.target = predicting_rows(problem, pass.target_attentions);
    else
      attribution.sequence_scores["decoder_self_attentions"] = keys_first(pass.target_attentions);
    if (pass.cross_attentions.defined()) {
      attribution.source = predicting_rows(problem, pass.cross_attentions);
      attribution.sequence_scores["encoder_self_attentions"] = keys_first(pass.source_attentions);
    }
    return attribution;
  }
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_method("attention", [](const whence::Params&) { return std::make_unique<Attention>(); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
