#include "attribution_job.h"

#include <filesystem>

#include "host/generation_record.h"
#include "host/run.h"
#include "request_part.h"
#include "whence/result_json.h"

namespace whence::serve {
namespace {

using host::Experiment;

/// Fields that are members of an input, of an attribution, and of the experiment as a whole.
const Fields kInput{"text",     "messages",        "system",          "generated",         "start", "end", "src_lang",
                    "tgt_lang", "contrast_target", "contrast_source", "contrast_alignment"};
const Fields kAttribution{"method", "attributed_function", "step_scores", "aggregation", "granularity"};
const Fields kWhole{"generation", "seed", "chat", "attribute_target", "include_eos_baseline"};

/// What the request says, as an experiment with one attribution of one text.
Experiment experiment_from(const Workshop& shop, const Value& request) {
  require_known_fields(request, {kInput, kAttribution, kWhole});
  if (const Value* chat = request.find("chat"); chat && !chat->is_null()) chat->as_bool();  // templates are files
  Value::Map document = request_part(request, kWhole).as_map();
  document.emplace_back("model", Value(shop.model_path));
  document.emplace_back("inputs", request_part(request, kInput));
  Value::Map attribution = request_part(request, kAttribution).as_map();
  if (!request.find("method")) attribution.emplace_back("method", Value(std::string("saliency")));
  document.emplace_back("attributions", Value(std::move(attribution), request.mark()));
  return host::parse_experiment(Value(std::move(document), request.mark()), std::filesystem::current_path());
}

void check(const Workshop& shop, const Experiment& experiment) {
  const host::InputText& input = experiment.inputs.front();
  host::check_attribution(shop.host.catalogue(), experiment.attributions.front());
  host::check_contrasts(shop.host.catalogue(), experiment);
  if (input.contrast && input.contrast->alignment) refuse_second_model(*input.contrast->alignment);
  host::check_input(input);
  std::vector<std::string> texts;
  if (!input.messages.is_null())
    for (const Value& message : input.messages.as_list()) texts.push_back(message.at("content").as_string());
  // The text of a decoder-only model begins with its prompt.
  if (!input.generated || shop.model().info().kind == ModelKind::encoder_decoder) texts.push_back(input.text);
  if (input.generated) texts.push_back(*input.generated);
  if (input.contrast && input.contrast->target) texts.push_back(*input.contrast->target);
  if (input.contrast && input.contrast->source) texts.push_back(*input.contrast->source);
  check_length(shop, texts, input.generated ? nullptr : &experiment.generation);
}

JobResult attribute(const Workshop& shop, const Experiment& experiment, const Reporter& reporter) {
  const host::AttributionSpec& spec = experiment.attributions.front();
  host::try_plugins(shop.host, spec);
  const std::vector<host::PreparedText> texts =
      host::prepare_sequences(shop.model(), experiment.inputs, experiment.generation,
                              {.batch_size = shop.batch_size,
                               .progress = reporter.phase("generating"),
                               .warn = reporter.warn,
                               .chat = experiment.chat});
  host::NamedOutput result{spec, host::attribute(shop.model(), shop.host, texts, spec,
                                                 {.batch_size = shop.batch_size,
                                                  .attribute_target = experiment.attribute_target,
                                                  .eos_baseline = experiment.eos_baseline,
                                                  .memory_bytes = shop.memory_bytes,
                                                  .seed = experiment.seed,
                                                  .progress = reporter.phase("attributing"),
                                                  .warn = reporter.warn})};
  host::record_generation(experiment.generation, shop.model().info(), result.output);
  reporter.phase("drawing");
  return {to_result_json(result.output),
          host::render(shop.host, {.renderer = {"html", {}, {}}}, result, Canvas{}, host::no_other_result)};
}

}  // namespace

Task attribution_task(const Workshop& shop, const Value& request) {
  Experiment experiment = experiment_from(shop, request);
  check(shop, experiment);
  return [&shop, experiment = std::move(experiment)](const Reporter& reporter) {
    return attribute(shop, experiment, reporter);
  };
}

}  // namespace whence::serve
