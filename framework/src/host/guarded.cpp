#include "host/guarded.h"

#include <array>
#include <utility>

#include "host/guard.h"
#include "host/result_check.h"
#include "whence/checkpoint_report.h"
#include "whence/context_renderer.h"
#include "whence/hidden_reduction.h"
#include "whence/paired_aggregator.h"

namespace whence::host {
namespace {

class GuardedTokenizer final : public Tokenizer {
 public:
  GuardedTokenizer(const Tokenizer& inner, std::string path) : inner_(inner), path_(std::move(path)) {
    for (const Side side : {Side::source, Side::target}) {
      const Tokenizer& other = guard(path_, "tokenizer", [&]() -> const Tokenizer& { return inner_.on(side); });
      if (&other != &inner_) sides_[side == Side::target] = std::make_unique<GuardedTokenizer>(other, path_);
    }
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    return guard(path_, "encode", [&] { return inner_.encode(text, options); });
  }
  std::vector<Encoding> encode_batch(const std::vector<std::string>& texts,
                                     const EncodeOptions& options) const override {
    return guard(path_, "encode", [&] { return inner_.encode_batch(texts, options); });
  }
  std::string decode(const TokenIds& ids, bool skip_special_tokens) const override {
    return guard(path_, "decode", [&] { return inner_.decode(ids, skip_special_tokens); });
  }
  std::optional<std::string> token(std::int64_t id) const override {
    return guard(path_, "decode", [&] { return inner_.token(id); });
  }
  std::optional<std::int64_t> id(std::string_view token) const override {
    return guard(path_, "encode", [&] { return inner_.id(token); });
  }
  const SpecialIds& special_ids() const override {
    return guard(path_, "special_ids", [&]() -> const SpecialIds& { return inner_.special_ids(); });
  }
  const TokenIds& all_special_ids() const override {
    return guard(path_, "special_ids", [&]() -> const TokenIds& { return inner_.all_special_ids(); });
  }
  const Tokenizer& on(Side side) const override {
    const auto& other = sides_[side == Side::target];
    return other ? *other : *this;
  }
  std::optional<std::int64_t> language_id(std::string_view language) const override {
    return guard(path_, "encode", [&] { return inner_.language_id(language); });
  }

 private:
  const Tokenizer& inner_;
  std::string path_;
  std::array<std::unique_ptr<GuardedTokenizer>, 2> sides_;  ///< source and target; null where it is this one
};

class GuardedModel final : public Model {
 public:
  GuardedModel(std::unique_ptr<Model> inner, const std::string& path)
      : inner_(std::move(inner)),
        path_(path),
        tokenizer_(guard(path, "tokenizer", [&]() -> const Tokenizer& { return inner_->tokenizer(); }), path) {}

  const ModelInfo& info() const override {
    return guard(path_, "info", [&]() -> const ModelInfo& { return inner_->info(); });
  }
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  Generation generate(const Inputs& inputs, const GenerationConfig& config,
                      const GenerationProgress& progress) const override {
    return guard(path_, "generate", [&] { return inner_->generate(inputs, config, progress); });
  }
  Tensor embed(const Tensor& ids, Side side) const override {
    return guard(path_, "embed", [&] { return inner_->embed(ids, side); });
  }
  Forward forward(const Inputs& inputs, const ForwardRequest& request) const override {
    return guard(path_, "forward", [&] { return inner_->forward(inputs, request); });
  }
  Gradients pull_back(const Forward& forward, const Cotangents& cotangents,
                      const PullBackRequest& request) const override {
    return guard(path_, "pull_back", [&] { return inner_->pull_back(forward, cotangents, request); });
  }
  Work work() const override {
    return guard(path_, "work", [&] { return inner_->work(); });
  }
  const void* query(std::string_view capability) const override {
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<Model> inner_;
  std::string path_;
  GuardedTokenizer tokenizer_;
};

class GuardedExaminer final : public CheckpointExaminer {
 public:
  GuardedExaminer(const CheckpointExaminer& inner, std::string path) : inner_(inner), path_(std::move(path)) {}

  CheckpointReport examine(const ModelRequest& request) const override {
    return guard(path_, "examine", [&] { return inner_.examine(request); });
  }

 private:
  const CheckpointExaminer& inner_;
  std::string path_;
};

class GuardedModelLoader final : public ModelLoader {
 public:
  GuardedModelLoader(std::unique_ptr<ModelLoader> inner, std::string path)
      : inner_(std::move(inner)), path_(std::move(path)) {
    const void* power = guard(path_, "query", [&] { return inner_->query(CheckpointExaminer::kCapability); });
    if (power) examiner_.emplace(*static_cast<const CheckpointExaminer*>(power), path_);
  }

  bool recognises(const ModelRequest& request) const override {
    return guard(path_, "recognise", [&] { return inner_->recognises(request); });
  }
  std::unique_ptr<Model> load(const ModelRequest& request) const override {
    auto model = guard(path_, "load", [&] { return inner_->load(request); });
    if (!model)
      throw PluginError(path_, "load", "loaded nothing from " + request.path + "; report this to the plugin's author");
    return std::make_unique<GuardedModel>(std::move(model), path_);
  }
  const void* query(std::string_view capability) const override {
    if (capability == CheckpointExaminer::kCapability)
      return examiner_ ? static_cast<const CheckpointExaminer*>(&*examiner_) : nullptr;
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<ModelLoader> inner_;
  std::string path_;
  std::optional<GuardedExaminer> examiner_;
};

class GuardedMethod final : public Method {
 public:
  GuardedMethod(std::unique_ptr<Method> inner, std::string path) : inner_(std::move(inner)), path_(std::move(path)) {}

  Attribution attribute(const Problem& problem) const override {
    Attribution attribution = guard(path_, "attribute", [&] { return inner_->attribute(problem); });
    check_attribution(attribution, problem, path_);
    return attribution;
  }
  const void* query(std::string_view capability) const override {
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<Method> inner_;
  std::string path_;
};

class GuardedStepFunction final : public StepFunction {
 public:
  GuardedStepFunction(std::unique_ptr<StepFunction> inner, std::string path)
      : inner_(std::move(inner)), path_(std::move(path)) {}

  StepNeeds needs(StepRole role) const override {
    return guard(path_, "needs", [&] { return inner_->needs(role); });
  }
  Tensor score(const StepInputs& inputs) const override {
    Tensor scores = guard(path_, "score", [&] { return inner_->score(inputs); });
    check_scores(scores, inputs, path_);
    return scores;
  }
  const void* query(std::string_view capability) const override {
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<StepFunction> inner_;
  std::string path_;
};

class GuardedReduction final : public HiddenReduction {
 public:
  using Power = HiddenReduction;
  GuardedReduction(const HiddenReduction& inner, std::string path) : inner_(inner), path_(std::move(path)) {}

  Tensor reduce(const Tensor& values) const override {
    Tensor reduced = guard(path_, "aggregate", [&] { return inner_.reduce(values); });
    check_reduction(reduced, values, path_);
    return reduced;
  }
  bool is_sum() const override {
    return guard(path_, "aggregate", [&] { return inner_.is_sum(); });
  }
  std::string description() const override {
    return guard(path_, "aggregate", [&] { return inner_.description(); });
  }
  void finish(SequenceAttribution& sequence) const override {
    guard(path_, "aggregate", [&] { inner_.finish(sequence); });
    check_sequence(sequence, path_);
  }

 private:
  const HiddenReduction& inner_;
  std::string path_;
};

class GuardedPairing final : public PairedAggregator {
 public:
  using Power = PairedAggregator;
  GuardedPairing(const PairedAggregator& inner, std::string path) : inner_(inner), path_(std::move(path)) {}

  std::string partner() const override {
    return guard(path_, "aggregate", [&] { return inner_.partner(); });
  }
  void join(SequenceAttribution& sequence, const SequenceAttribution& other) const override {
    guard(path_, "aggregate", [&] { inner_.join(sequence, other); });
    check_sequence(sequence, path_);
  }

 private:
  const PairedAggregator& inner_;
  std::string path_;
};

class GuardedAggregator final : public Aggregator {
 public:
  GuardedAggregator(std::unique_ptr<Aggregator> inner, const std::string& path)
      : inner_(std::move(inner)), path_(path) {
    offer(reduction_);
    offer(pairing_);
  }

  void apply(SequenceAttribution& sequence) const override {
    guard(path_, "aggregate", [&] { inner_->apply(sequence); });
    check_sequence(sequence, path_);
  }
  const void* query(std::string_view capability) const override {
    if (capability == HiddenReduction::kCapability)
      return reduction_ ? static_cast<const HiddenReduction*>(&*reduction_) : nullptr;
    if (capability == PairedAggregator::kCapability)
      return pairing_ ? static_cast<const PairedAggregator*>(&*pairing_) : nullptr;
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  /// Puts a guard around the power that `Guarded` is made for, if the plugin offers it.
  template <class Guarded>
  void offer(std::optional<Guarded>& guarded) {
    using Power = typename Guarded::Power;
    const auto power = guard(path_, "query", [&] { return inner_->query(Power::kCapability); });
    if (power) guarded.emplace(*static_cast<const Power*>(power), path_);
  }

  std::unique_ptr<Aggregator> inner_;
  std::string path_;
  std::optional<GuardedReduction> reduction_;
  std::optional<GuardedPairing> pairing_;
};

class GuardedContextRenderer final : public ContextRenderer {
 public:
  GuardedContextRenderer(const ContextRenderer& inner, std::string path) : inner_(inner), path_(std::move(path)) {}

  std::string render(const ContextAttribution& result, const Canvas& canvas) const override {
    return guard(path_, "render", [&] { return inner_.render(result, canvas); });
  }

 private:
  const ContextRenderer& inner_;
  std::string path_;
};

class GuardedRenderer final : public Renderer {
 public:
  GuardedRenderer(std::unique_ptr<Renderer> inner, std::string path)
      : inner_(std::move(inner)), path_(std::move(path)) {
    const void* power = guard(path_, "query", [&] { return inner_->query(ContextRenderer::kCapability); });
    if (power) of_contexts_.emplace(*static_cast<const ContextRenderer*>(power), path_);
  }

  std::string render(const AttributionOutput& output, const Canvas& canvas) const override {
    return guard(path_, "render", [&] { return inner_->render(output, canvas); });
  }
  const void* query(std::string_view capability) const override {
    if (capability == ContextRenderer::kCapability)
      return of_contexts_ ? static_cast<const ContextRenderer*>(&*of_contexts_) : nullptr;
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<Renderer> inner_;
  std::string path_;
  std::optional<GuardedContextRenderer> of_contexts_;
};

class GuardedMetric final : public Metric {
 public:
  GuardedMetric(std::unique_ptr<Metric> inner, std::string path) : inner_(std::move(inner)), path_(std::move(path)) {}

  std::vector<Measure> measure(const Evaluation& evaluation) const override {
    std::vector<Measure> measures = guard(path_, "measure", [&] { return inner_->measure(evaluation); });
    check_measures(measures, evaluation, path_);
    return measures;
  }
  const void* query(std::string_view capability) const override {
    return guard(path_, "query", [&] { return inner_->query(capability); });
  }

 private:
  std::unique_ptr<Metric> inner_;
  std::string path_;
};

}  // namespace

std::unique_ptr<ModelLoader> guarded(std::unique_ptr<ModelLoader> loader, const std::string& path) {
  return std::make_unique<GuardedModelLoader>(std::move(loader), path);
}
std::unique_ptr<Method> guarded(std::unique_ptr<Method> method, const std::string& path) {
  return std::make_unique<GuardedMethod>(std::move(method), path);
}
std::unique_ptr<StepFunction> guarded(std::unique_ptr<StepFunction> function, const std::string& path) {
  return std::make_unique<GuardedStepFunction>(std::move(function), path);
}
std::unique_ptr<Aggregator> guarded(std::unique_ptr<Aggregator> aggregator, const std::string& path) {
  return std::make_unique<GuardedAggregator>(std::move(aggregator), path);
}
std::unique_ptr<Renderer> guarded(std::unique_ptr<Renderer> renderer, const std::string& path) {
  return std::make_unique<GuardedRenderer>(std::move(renderer), path);
}
std::unique_ptr<Metric> guarded(std::unique_ptr<Metric> metric, const std::string& path) {
  return std::make_unique<GuardedMetric>(std::move(metric), path);
}

}  // namespace whence::host
