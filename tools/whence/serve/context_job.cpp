#include "context_job.h"

#include <filesystem>

#include "host/checked_value.h"
#include "host/context.h"
#include "host/context_rendering.h"
#include "host/context_value.h"
#include "request_part.h"
#include "whence/context_json.h"

namespace whence::serve {
namespace {

const Fields kInput{"current",  "context", "documents", "output_context", "output_current", "contextless_next_tokens",
                    "src_lang", "tgt_lang"};
const Fields kWhole{"generation", "seed", "include_eos_baseline"};

struct ContextJob {
  host::ContextInput input;
  host::ContextSpec spec;
  GenerationConfig generation;
  std::uint64_t seed = 0;
  bool eos_baseline = false;
};

ContextJob job_from(const Value& request) {
  require_known_fields(request, {kInput, host::context_keys(), kWhole});
  ContextJob job;
  job.input = host::parse_context_input(request_part(request, kInput));
  job.input.id = "0";
  job.spec = host::parse_context_spec(request_part(request, host::context_keys()), std::filesystem::current_path());
  const Value whole = request_part(request, kWhole);
  if (const Value* seed = whole.find("seed"))
    job.seed = static_cast<std::uint64_t>(host::integer_from(*seed, "seed", 0));
  if (const Value* generation = whole.find("generation")) job.generation = host::parse_generation(*generation);
  if (!whole.find("generation") || !whole.at("generation").find("seed")) job.generation.seed = job.seed;
  if (const Value* baseline = whole.find("include_eos_baseline")) job.eos_baseline = baseline->as_bool();
  return job;
}

void check(const Workshop& shop, const ContextJob& job) {
  refuse_second_model(job.spec.alignment);
  host::check_context(shop.host.catalogue(), job.input, job.spec, /*can_ask=*/false);
  std::vector<std::string> texts{job.input.input_current};
  for (const host::ContextDocument& document : job.input.documents) texts.push_back(document.text);
  for (const auto& text : {job.input.input_context, job.input.output_context, job.input.output_current})
    if (text) texts.push_back(*text);
  check_length(shop, texts, job.input.output_current ? nullptr : &job.generation);
}

JobResult attribute(const Workshop& shop, const ContextJob& job, const Reporter& reporter) {
  host::ContextOptions options{.batch_size = shop.batch_size,
                               .memory_bytes = shop.memory_bytes,
                               .seed = job.seed,
                               .eos_baseline = job.eos_baseline};
  options.listener = {.phase = reporter.phase, .notice = reporter.warn, .warn = reporter.warn};
  const ContextAttribution result =
      host::attribute_context(shop.model(), shop.host, job.input, job.spec, job.generation, options);
  reporter.phase("drawing");
  return {to_context_json(result), host::render_context(shop.host, {.renderer = {"html", {}, {}}}, result, Canvas{})};
}

}  // namespace

Task context_task(const Workshop& shop, const Value& request) {
  ContextJob job = job_from(request);
  check(shop, job);
  return [&shop, job = std::move(job)](const Reporter& reporter) { return attribute(shop, job, reporter); };
}

}  // namespace whence::serve
