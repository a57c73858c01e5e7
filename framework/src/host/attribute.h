#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/chat.h"
#include "host/contrast.h"
#include "host/experiment.h"
#include "host/plugin_host.h"
#include "whence/attribution_output.h"
#include "whence/problem.h"
#include "whence/progress.h"

namespace whence::host {

/// A tokenised input with the steps to explain.
struct PreparedText {
  Sequence sequence;
  std::string input_text;
  std::string generated_text;  ///< decoder-only: with the prompt
  bool constrained = false;    ///< the continuation was given
  std::optional<ContrastText> contrast = {};  ///< as the input gives it
};

/// Says something to the user that is no error.
using Notice = std::function<void(const std::string&)>;

struct PrepareOptions {
  std::int64_t batch_size = 8;
  Progress progress;  ///< new tokens of the batch at work, of those there is room for
  Notice warn;
  ChatOptions chat = {};
  FindAligner find_aligner = {};  ///< empty: alignments by states are refused
};

/// Throws InputError for a text that is empty, ConfigError for messages that are none.
void check_input(const InputText& input);

/// Tokenises every input, generates where no continuation was given, and settles the explained positions. Generated ids
/// are used as they are, not tokenised again. Throws InputError for texts that are empty, too long or do not extend
/// their prompt, and for positions outside the text; ConfigError for ids outside the vocabulary that are to end a text.
std::vector<PreparedText> prepare_sequences(const Model& model, const std::vector<InputText>& inputs,
                                            const GenerationConfig& generation, const PrepareOptions& options = {});

struct AttributeOptions {
  std::int64_t batch_size = 8;
  bool attribute_target = false;  ///< encoder-decoder only
  bool eos_baseline = false;
  std::int64_t memory_bytes = 0;  ///< of weights and passes together; 0: a share of what is free
  std::uint64_t seed = 0;         ///< with the ids of the texts it keys what methods draw at random
  Progress progress;              ///< explained steps done, of all
  Notice warn;
};

/// Explains every step of every text. Batches are made of `batch_size` texts; results don't depend on it. Throws what
/// plugins throw, and PluginError when a score is not finite, naming sequence, step and method.
AttributionOutput attribute(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                            const AttributionSpec& spec, const AttributeOptions& options = {});

/// The plugin that a choice names, its parameters checked. Throws UnknownName, ConfigError, or PluginError for a plugin
/// that is known to be broken.
const PluginInfo& check_choice(const Catalogue& catalogue, PluginKind kind, const Choice& choice);

/// The plugins and parameters of an attribution, checked without opening a library: unknown names, parameters, a score
/// that is not differentiable under a method that needs gradients.
void check_attribution(const Catalogue& catalogue, const AttributionSpec& spec);

/// What an attribution will take.
struct AttributionPlan {
  Work work;
  std::int64_t tensor_bytes = 0;  ///< most bytes of tensors held at a time, beside those held before it begins
  bool at_most = false;           ///< steps may stop before all levels of their path are done
};

/// Found without doing it: the method runs on a stand-in that counts what the model would do. Throws what the method
/// throws; ConfigError for a method that is open-ended.
AttributionPlan plan_attribution(const Model& model, const PluginHost& host, const std::vector<PreparedText>& texts,
                                 const AttributionSpec& spec, const AttributeOptions& options = {});

/// Finds out before any text is generated whether the model can serve an attribution: what cannot be done with the
/// shortest text cannot be done with any. Throws what `attribute` throws for it.
void require_served(const Model& model, const PluginHost& host, const AttributionSpec& spec,
                    const AttributeOptions& options = {});

/// Makes every plugin that the attribution names, so that one that cannot be used is found before long work. Throws
/// what `attribute` and `aggregated` throw for it.
void try_plugins(const PluginHost& host, const AttributionSpec& spec);

}  // namespace whence::host
