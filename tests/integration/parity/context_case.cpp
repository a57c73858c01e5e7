#include "context_case.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "support/json_value.h"
#include "whence/context_json.h"

namespace whence::parity {
namespace {

using host::Choice;

/// The options of a case, each of which has to be looked at.
class Options {
 public:
  explicit Options(const json& options) : options_(options) {}

  const json* find(const std::string& name) {
    seen_.insert(name);
    const auto found = options_.find(name);
    return found == options_.end() ? nullptr : &*found;
  }
  template <class T>
  void read(const std::string& name, T& into) {
    if (const json* found = find(name)) into = found->get<T>();
  }
  template <class T>
  void read(const std::string& name, std::optional<T>& into) {
    if (const json* found = find(name)) into = found->get<T>();
  }
  void read(const std::string& name, std::optional<host::ContextTemplate>& into) {
    if (const json* found = find(name)) into = host::ContextTemplate{found->get<std::string>(), {}};
  }
  void read(const std::string& name, host::ContextTemplate& into) {
    if (const json* found = find(name)) into.text = found->get<std::string>();
  }
  void require_all_seen() const {
    for (const auto& [name, _] : options_.items())
      if (!seen_.contains(name)) throw std::runtime_error("option " + name + " of a context case is not known");
  }

 private:
  const json& options_;
  std::set<std::string> seen_;
};

/// Keywords of the reference go to whoever knows them: here to the function or the method.
void read_attribution(Options& options, host::AttributionSpec& attribution) {
  Value::Map function, method;
  if (const json* keywords = options.find("attribution_kwargs"))
    for (const auto& [key, value] : keywords->items())
      (key == "logprob" ? function : method).emplace_back(key, to_value(value));
  options.read("attribution_method", attribution.method.name);
  options.read("attributed_fn", attribution.attributed_function.name);
  if (attribution.method.name == "integrated_gradients")
    method.emplace_back("compat", Value(std::string("reference")));  // its baseline
  attribution.method.params = Value(std::move(method));
  attribution.attributed_function.params = Value(std::move(function));
  bool normalize = false;
  options.read("normalize_attributions", normalize);
  const json* stages = options.find("attribution_aggregators");
  if (!stages) return;
  attribution.aggregation.emplace();
  for (const json& stage : *stages)
    attribution.aggregation->push_back(
        {"scores", Value(Value::Map{{"function", to_value(stage)}, {"normalize", Value(normalize)}}), {}});
}

ContextCase read_case(const std::filesystem::path& file) {
  ContextCase one;
  one.data.data = json::parse(std::ifstream(file));
  one.data.id = file.stem();
  one.data.model = one.data.at("model");
  Options options(one.data.at("options"));
  options.read("input_current_text", one.input.input_current);
  options.read("input_context_text", one.input.input_context);
  options.read("output_context_text", one.input.output_context);
  options.read("output_current_text", one.input.output_current);
  options.read("contextless_output_next_tokens", one.input.contextless_next_tokens);
  options.read("input_template", one.spec.input_template);
  options.read("output_template", one.spec.output_template);
  options.read("contextless_input_current_text", one.spec.contextless_input);
  options.read("contextless_output_current_text", one.spec.contextless_output);
  options.read("decoder_input_output_separator", one.spec.separator);
  options.read("special_tokens_to_keep", one.spec.special_tokens_to_keep);
  options.read("context_sensitivity_metric", one.spec.sensitivity.name);
  options.read("context_sensitivity_std_threshold", one.spec.sensitive.std_weight);
  options.read("context_sensitivity_topk", one.spec.sensitive.top_k);
  read_attribution(options, one.spec.attribution);
  if (const json* generation = options.find("generation_kwargs"))
    one.generation.max_new_tokens = generation->at("max_new_tokens").get<std::int64_t>();
  options.require_all_seen();
  one.expected = from_context_json(one.data.at("expected").dump(), file.string());
  one.threshold = one.data.at("threshold");
  return one;
}

}  // namespace

const std::vector<ContextCase>& context_cases() {
  static const std::vector<ContextCase> cases = [] {
    std::vector<ContextCase> list;
    for (const auto& entry : std::filesystem::directory_iterator(WHENCE_TEST_DATA "/context"))
      list.push_back(read_case(entry.path()));
    std::ranges::sort(list, {}, [](const ContextCase& one) { return one.data.id; });
    return list;
  }();
  return cases;
}

}  // namespace whence::parity
