#pragma once

#include <string>

#include "whence/attribution.h"
#include "whence/attribution_output.h"
#include "whence/metric.h"
#include "whence/problem.h"
#include "whence/step_function.h"

namespace whence::host {

// What a plugin returned against what its interface promises, so that a wrong shape is a fault of that plugin and never
// a table with rows or steps missing. Each throws PluginError for the plugin at `path`.

/// Rows, steps and granularity of an attribution of `problem`.
void check_attribution(const Attribution& attribution, const Problem& problem, const std::string& path);
/// [B,T] from a step function.
void check_scores(const Tensor& scores, const StepInputs& inputs, const std::string& path);
/// Tokens, steps and tensors of a sequence after an aggregator changed it.
void check_sequence(const SequenceAttribution& sequence, const std::string& path);
/// What an aggregator made of hidden units: one number for each of the others.
void check_reduction(const Tensor& reduced, const Tensor& values, const std::string& path);
/// [A,B,T] from a metric, under names of their own, finite or NaN.
void check_measures(const std::vector<Measure>& measures, const Evaluation& evaluation, const std::string& path);

}  // namespace whence::host
