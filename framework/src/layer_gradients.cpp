#include "layer_gradients.h"

#include <ATen/ops/zeros.h>

#include <map>

#include "gradient_sums.h"

namespace whence {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

std::int64_t layers_of(const ModelInfo& model, Side side) {
  return side == Side::source ? model.encoder_layers : model.layers;
}

}  // namespace

InputGradients layer_gradients(ProblemState& state, const GradientRequest& request) {
  if (request.multiply == Multiply::input_minus_baseline || request.gap || !request.layers.empty())
    throw Error(ExitStatus::plugin,
                "gradients at all layers were asked for with a baseline or a choice of layers; ask for single layers");
  const ModelInfo& model = state.model.info();
  state.drop_prefix();
  const GradientFinish finish(state, state.leaves({}),
                              {.absolute = request.absolute, .keep_hidden = request.keep_hidden});
  std::vector<LayerSite> sites;
  std::map<Side, Tensor> results;
  std::int64_t held = state.held();
  for (const Side side : {Side::source, Side::target}) {
    if (!state.attributes(side)) continue;
    const std::int64_t places = layers_of(model, side) + 1;
    for (std::int64_t block = 0; block < places; ++block) sites.push_back({side, block});
    std::vector<std::int64_t> shape{state.batch(), state.length(side), state.steps(), places};
    if (!finish.reduces()) shape.push_back(model.hidden);
    results[side] = at::zeros(shape);
    held += results[side].numel() * kFloat;
  }
  // The states of a pass are held with its gradients, of one step more.
  const PassKind kind{.steps = state.steps(), .trace = true, .places = 2 * std::ssize(sites)};
  state.plan().require({state.plan().demand(state.whole(), kind, held)});
  ProblemState::Meter meter(state, state.batch());
  for (const Pass& pass : state.plan().passes(state.whole(), kind, held)) {
    std::vector<Tensor> states;
    TracedPass traced;
    traced.show = [&](const Forward& forward) { states = forward.states; };
    traced.ends.target = false;
    traced.ends.layers = sites;
    traced.ends.rules = request.rules;
    run_traced(state, pass, traced, [&](Gradients& gradients, std::int64_t first, std::int64_t count) {
      for (std::size_t i = 0; i < sites.size(); ++i)
        for (std::size_t u = 0; u < pass.units.size(); ++u) {
          const auto unit = static_cast<std::int64_t>(u);
          const Side side = sites[i].stack;
          const std::int64_t b = pass.units[u].sequence, rows = state.rows_of(side, b);
          Tensor own = gradients.layers[i][unit].narrow(0, 0, rows);
          if (request.multiply == Multiply::input) finish.multiply(own, states[i][unit].narrow(0, 0, rows));
          results[side][b]
              .narrow(0, 0, rows)
              .narrow(1, first, count)
              .select(2, sites[i].block)
              .copy_(finish.finish(own));
        }
    });
    meter.add(pass.units.size());
  }
  InputGradients gradients = finish.input_gradients(results[Side::source], results[Side::target]);
  gradients.granularity.insert(gradients.granularity.begin(), "layer_state");
  return gradients;
}

}  // namespace whence
