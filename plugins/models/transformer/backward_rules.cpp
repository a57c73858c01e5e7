#include "backward_rules.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "whence/error.h"

namespace whence::transformer {
namespace {

constexpr const char *kGradient = "gradient", *kFrozen = "frozen", *kDeepLift = "deeplift", *kScaled = "scaled",
                     *kTempered = "tempered";

/// Every operation with the rules it knows.
struct Operation {
  const char* name;
  std::vector<std::string> rules;
};

const std::vector<Operation>& operations() {
  static const std::vector<Operation> kOperations = {{"norm", {kGradient, kFrozen}},
                                                     {"activation", {kGradient, kDeepLift}},
                                                     {"softmax", {kGradient, kFrozen, kTempered}},
                                                     {"attention_product", {kGradient, kScaled}},
                                                     {"gate_product", {kGradient, kScaled}}};
  return kOperations;
}

/// Throws UnknownName unless the engine has the operation and the operation the rule.
void check_names(const BackwardRule& rule) {
  std::vector<std::string> names;
  for (const Operation& operation : operations()) {
    names.push_back(operation.name);
    if (rule.operation != operation.name) continue;
    for (const std::string& known : operation.rules)
      if (rule.rule == known) return;
    throw UnknownName({}, "backward rule of " + rule.operation, rule.rule, operation.rules);
  }
  throw UnknownName({}, "operation of a backward rule", rule.operation, names);
}

double factor_of(const BackwardRule& rule) {
  if (!std::isfinite(rule.factor))
    throw ConfigError("backward rule scaled of " + rule.operation + ": expected a finite factor, found " +
                      std::to_string(rule.factor));
  return rule.factor;
}

double temperature_of(const BackwardRule& rule) {
  if (!std::isfinite(rule.factor) || rule.factor <= 0)
    throw ConfigError("backward rule tempered of " + rule.operation + ": expected a temperature above 0, found " +
                      std::to_string(rule.factor));
  return rule.factor;
}

/// Whether `holds` is true of some layer with its stack.
template <class Holds>
bool any_layer(const std::vector<const StackConfig*>& stacks, const Holds& holds) {
  return std::ranges::any_of(stacks, [&](const StackConfig* stack) {
    return std::ranges::any_of(stack->layers, [&](const LayerConfig& layer) { return holds(*stack, layer); });
  });
}

bool has_experts(const std::vector<const StackConfig*>& stacks) {
  return any_layer(stacks, [](const StackConfig&, const LayerConfig& layer) { return layer.experts; });
}

}  // namespace

bool has_gates(const std::vector<const StackConfig*>& stacks) {
  return any_layer(stacks, [](const StackConfig& stack, const LayerConfig& layer) {
    return layer.experts ? stack.experts.each.gated : stack.mlp.gated;
  });
}

void check_rules(const std::vector<BackwardRule>& rules, const std::vector<const StackConfig*>& stacks) {
  std::set<std::string> seen;
  for (const BackwardRule& rule : rules) {
    check_names(rule);
    if (!seen.insert(rule.operation).second)
      throw ConfigError("backward rules: two rules for the operation " + rule.operation + "; give one");
    if (rule.rule != kGradient && rule.operation == "gate_product" && !has_gates(stacks))
      throw ConfigError("backward rule " + rule.rule +
                        " of gate_product: the feed-forward networks of the model have no gates; leave the rule out");
    if (rule.rule == kDeepLift && has_experts(stacks))
      throw ConfigError(
          "backward rule deeplift of activation: tokens of the model choose among experts, and a reference may choose "
          "others, so that there is no slope between them; use the rule gradient");
  }
}

DecoderRules read_rules(const std::vector<BackwardRule>& rules, const std::vector<const StackConfig*>& stacks,
                        const PassTrace* reference) {
  check_rules(rules, stacks);
  DecoderRules result;
  for (const BackwardRule& rule : rules) {
    if (rule.rule == kGradient) continue;
    if (rule.operation == "norm") result.frozen_norms = true;
    if (rule.rule == kTempered) result.attention.softmax_temperature = temperature_of(rule);
    if (rule.operation == "softmax") result.attention.frozen_softmax = rule.rule == kFrozen;
    if (rule.operation == "attention_product") result.attention.product_factor = factor_of(rule);
    if (rule.operation == "gate_product") result.gate_factor = factor_of(rule);
    if (rule.rule == kDeepLift) {
      if (!reference)
        throw ConfigError(
            "backward rule deeplift of activation: there is no reference pass; give the traced pass "
            "over the baseline");
      result.reference = reference;
    }
  }
  if (reference && !result.reference)
    throw ConfigError("a reference pass is given, but no backward rule uses it; add deeplift of activation");
  return result;
}

}  // namespace whence::transformer
