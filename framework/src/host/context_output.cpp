#include "host/context_output.h"

#include "host/context_split.h"
#include "host/context_text.h"
#include "host/encode_input.h"
#include "host/generate_texts.h"

namespace whence::host {
namespace {

/// Blanks that a model writes itself as the beginning of its next word.
std::string without_last_spaces(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

/// What the model writes behind the input and the beginning of an output.
std::string generated_behind(const ContextTask& task, const std::string& beginning) {
  const Model& model = task.model;
  const std::string input = task.templates.input.filled(task.input_context, task.input.input_current).text;
  std::vector<TokenIds> sources, ids;
  if (model.info().kind == ModelKind::encoder_decoder) {
    sources.push_back(encode_source(model, task.how, input, "the source with its template"));
    ids.push_back(decoder_start(model));
    if (const std::string start = without_last_spaces(beginning); !start.empty()) {
      const TokenIds begun = encode(model.tokenizer(), task.how, start, Side::target, /*open=*/true);
      ids.front().insert(ids.front().end(), begun.begin(), begun.end());
    }
  } else {
    const std::string prompt = without_last_spaces(joined(input, task.spec.separator, beginning));
    ids.push_back(encode_text(model, task.how, prompt, Side::target));
  }
  check_length(model, task.how, ids.front().size(), "the input with its template", 1);
  const TokenIds prompt = ids.front();
  const RunListener& listener = task.options.listener;
  generate_texts(
      model, {task.how}, {0}, task.generation,
      {.batch_size = 1, .progress = listener.phase ? listener.phase("output") : Progress(), .warn = listener.warn},
      sources, ids);
  const Tokenizer& tokenizer = model.tokenizer().on(Side::target);
  const std::string before = written(tokenizer, task.kept, prompt), all = written(tokenizer, task.kept, ids.front());
  const TokenIds added(ids.front().begin() + std::ssize(prompt), ids.front().end());
  // Some vocabularies write the beginning of a text in another way than what goes on.
  std::string text =
      stripped(all.starts_with(before) ? all.substr(before.size()) : written(tokenizer, task.kept, added));
  if (const std::string suffix = stripped(task.templates.output.suffix()); !suffix.empty() && text.ends_with(suffix))
    text = stripped(text.substr(0, text.size() - suffix.size()));
  if (text.empty())
    throw InputError(place_of(task.how) +
                     ": the model generated no text; give the output, another input, or raise max_new_tokens");
  return text;
}

}  // namespace

ContextOutput prepare_output(const ContextTask& task) {
  const ContextInput& input = task.input;
  const ParsedTemplate& form = task.templates.output;
  ContextOutput output;
  if (form.has_context() && !input.output_context) {
    const std::string text = generated_behind(task, form.prefix());
    output.context = divided_context(task, text);
    if (input.output_current) {
      output.current = *input.output_current;
      return output;
    }
    output.generated = true;
    output.current = stripped(text.substr(output.context->size()));
    if (const std::string between = stripped(form.between()); output.current.starts_with(between))
      output.current = stripped(output.current.substr(between.size()));
    if (output.current.empty())
      throw InputError(place_of(task.how) + ": the generated output " + quoted(text) +
                       " has nothing behind the output context; give another context, or raise max_new_tokens");
    return output;
  }
  if (form.has_context()) output.context = input.output_context;
  if (input.output_current) {
    output.current = *input.output_current;
    return output;
  }
  const FilledText empty = form.filled(output.context.value_or(""), "");
  output.current = generated_behind(task, empty.text.substr(0, static_cast<std::size_t>(empty.current.start)));
  output.generated = true;
  return output;
}

}  // namespace whence::host
