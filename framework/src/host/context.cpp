#include "host/context.h"

#include <exception>
#include <sstream>

#include "host/context_cues.h"
#include "host/context_info.h"
#include "host/context_run.h"
#include "host/context_units.h"
#include "host/encode_input.h"

namespace whence::host {
namespace {

/// Lets what progress throws through plugins, which make other errors of it.
class Cancellation {
 public:
  RunListener watched(const RunListener& listener) {
    RunListener watched = listener;
    if (listener.phase)
      watched.phase = [this, &listener](const std::string& label) -> Progress {
        const Progress progress = listener.phase(label);
        if (!progress) return {};
        return [this, progress](std::int64_t done, std::int64_t total) {
          try {
            progress(done, total);
          } catch (...) {
            thrown_ = std::current_exception();
            throw;
          }
        };
      };
    return watched;
  }
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  std::exception_ptr thrown_;
};

/// The input context, with the bytes of the documents that make it.
std::string input_context_of(const ContextInput& input, const ContextSpec& spec, std::vector<Span>& documents) {
  std::string text = input.input_context.value_or("");
  for (const ContextDocument& document : input.documents) {
    if (!documents.empty()) text += spec.document_separator;
    documents.push_back({std::ssize(text), std::ssize(text) + std::ssize(document.text)});
    text += document.text;
  }
  return text;
}

void check_for_model(const ContextTask& task, const Catalogue& catalogue) {
  const ContextInput& input = task.input;
  const Notice& warn = task.options.listener.warn;
  const ModelInfo& model = task.model.info();
  const bool has_source = model.kind == ModelKind::encoder_decoder;
  if (!has_source && !input.src_lang.empty())
    throw InputError(place_of(task.how) + ": src_lang '" + input.src_lang + "' has no effect, since model '" +
                     model.name + "' has no source; leave it out");
  if (!warn) return;
  if (has_source && task.spec.separator != ContextSpec().separator)
    warn("decoder_input_output_separator has no effect: model '" + model.name + "' reads input and output apart");
  const bool generates = !input.output_current || (task.templates.output.has_context() && !input.output_context) ||
                         (contrastive_attributed(catalogue, task.spec.attribution) &&
                          input.contextless_next_tokens.empty() && !task.spec.ask_for_contextless_next_tokens);
  if (!generates && !(task.generation == GenerationConfig{.seed = task.generation.seed}))
    warn("the generation options have no effect, since every text is given");
}

/// How the tokenizer and errors see the input.
InputText how_of(const ContextInput& input) {
  InputText how;
  how.id = input.id;
  how.text = input.input_current;
  how.src_lang = input.src_lang;
  how.tgt_lang = input.tgt_lang;
  how.where = input.where;
  return how;
}

/// A context by the rows of a text that it is part of.
ContextText context_text(const ContextTask& task, const ReadText& read, Side side, const Span& part,
                         const std::vector<std::int64_t>& rows, const std::vector<Span>& documents) {
  const TokenText tokens = read.part(part, rows);
  ContextText text{.text = tokens.text, .tokens = {}, .units = {}};
  for (const std::int64_t row : rows)
    text.tokens.push_back(task.model.tokenizer().on(side).token(read.ids[static_cast<std::size_t>(row)]).value_or(""));
  text.units = units_of_context(task, tokens, documents);
  return text;
}

/// What is known before anything is attributed.
ContextAttribution begun_result(const ContextTask& task, const ReadTexts& with, const ContextOutput& output) {
  ContextAttribution result;
  if (with.input_context)
    result.input_context = context_text(task, with.input_text(), with.source ? Side::source : Side::target,
                                        *with.input_context, with.input_context_rows, task.documents);
  if (with.output_context)
    result.output_context =
        context_text(task, with.target, Side::target, *with.output_context, with.output_context_rows, {});
  result.input_current = task.input.input_current;
  result.output_current = output.current;
  return result;
}

ContextAttribution attributed(const PluginHost& host, const ContextTask& task) {
  const ContextOutput output = prepare_output(task);
  const auto texts = [&](const ParsedTemplate& input, const ParsedTemplate& of_output) {
    return read_texts(task.model, task.how, input.filled(task.input_context, task.input.input_current),
                      of_output.filled(output.context.value_or(""), output.current), task.spec.separator, task.kept);
  };
  const ReadTexts with = texts(task.templates.input, task.templates.output);
  const ReadTexts without = texts(task.templates.contextless_input, task.templates.contextless_output);
  const std::vector<OutputToken> tokens = output_sensitivities(host, task, with, without);

  ContextAttribution result = begun_result(task, with, output);
  for (const OutputToken& token : tokens) {
    result.output_tokens.push_back(token.text);
    result.sensitivities.push_back(token.sensitivity);
  }
  const StrongScores& sensitive = task.spec.sensitive;
  const std::vector<std::int64_t> selected = sensitive.of(result.sensitivities);
  if (!selected.empty())
    add_cues(host, task, with, without, tokens, selected, result);
  else if (const Notice& notice = task.options.listener.notice)
    notice("input '" + task.input.id + "': no token of the output depends on context");
  result.info = context_info(host, task, output, sensitive.threshold(result.sensitivities));
  return result;
}

}  // namespace

ContextAttribution attribute_context(const Model& model, const PluginHost& host, const ContextInput& input,
                                     const ContextSpec& spec, const GenerationConfig& generation,
                                     const ContextOptions& options) {
  check_context(host.catalogue(), input, spec, static_cast<bool>(options.ask), options.listener.warn);
  Cancellation cancellation;
  ContextOptions watched = options;
  watched.listener = cancellation.watched(options.listener);
  try {
    const ContextTemplates templates = parse_templates(input, spec);
    ContextTask task{.model = model,
                     .input = input,
                     .spec = spec,
                     .generation = generation,
                     .options = watched,
                     .templates = templates,
                     .how = how_of(input),
                     .input_context = {},
                     .documents = {},
                     .kept = kept_specials(model, spec)};
    if (templates.input.has_context()) task.input_context = input_context_of(input, spec, task.documents);
    check_for_model(task, host.catalogue());
    require_served(model, host, with_sensitivity(spec), {.attribute_target = templates.output.has_context()});
    return attributed(host, task);
  } catch (...) {
    cancellation.rethrow();
    throw;
  }
}

}  // namespace whence::host
