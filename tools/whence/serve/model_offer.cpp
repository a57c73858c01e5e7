#include "model_offer.h"

#include <c10/util/Exception.h>

#include "attribution_job.h"
#include "context_job.h"
#include "host/checked_value.h"
#include "json_text.h"
#include "json_value.h"

namespace whence::serve {
namespace {

using host::PluginInfo;
using host::PluginKind;
using nlohmann::ordered_json;

const char* const kExamples =
#include "examples.json.h"
    ;

std::string model_json(const Workshop& shop) {
  const ModelInfo& info = shop.model().info();
  return json_text({{"name", info.name},
                    {"kind", info.kind == ModelKind::encoder_decoder ? "encoder_decoder" : "decoder_only"},
                    {"class_name", info.class_name},
                    {"architecture", info.architecture},
                    {"parameters", info.parameters},
                    {"layers", info.layers},
                    {"heads", info.heads},
                    {"vocabulary", info.vocabulary},
                    {"max_positions", info.max_positions},
                    {"dtype", info.dtype},
                    {"weights", info.weights_format}});
}

ordered_json parameter_json(const host::ParamSpec& spec) {
  ordered_json json{{"name", spec.name}, {"type", spec.type}, {"help", spec.help}, {"required", spec.required}};
  if (!spec.default_value.is_null()) json["default"] = cli::to_json(spec.default_value);
  if (spec.minimum) json["minimum"] = *spec.minimum;
  if (spec.maximum) json["maximum"] = *spec.maximum;
  if (!spec.choices.empty()) json["choices"] = cli::to_json(Value(Value::List(spec.choices)));
  return json;
}

bool flag(const PluginInfo& plugin, const char* key, bool otherwise) {
  const Value* value = plugin.declaration.find(key);
  return value ? value->as_bool() : otherwise;
}

std::string plugins_json(const host::Catalogue& catalogue, PluginKind kind) {
  auto list = ordered_json::array();
  for (const PluginInfo& plugin : catalogue.plugins()) {
    if (plugin.kind != kind || !plugin.problem.empty() || !plugin.shadowed_by.empty()) continue;
    ordered_json json{{"name", plugin.name}, {"summary", plugin.summary}};
    if (kind == PluginKind::method) {
      json["cost"] = plugin.cost;
      json["uses_attributed_function"] = flag(plugin, "uses_attributed_function", true);
    } else {
      json["differentiable"] = flag(plugin, "differentiable", true);
    }
    json["presets"] = ordered_json::array();
    for (const auto& [name, _] : plugin.presets) json["presets"].push_back(name);
    json["parameters"] = ordered_json::array();
    for (const host::ParamSpec& spec : plugin.parameters) json["parameters"].push_back(parameter_json(spec));
    list.push_back(std::move(json));
  }
  return json_text(list);
}

}  // namespace

Offer model_offer(const Workshop& shop, std::string server_facts) {
  const host::Catalogue& catalogue = shop.host.catalogue();
  const auto make_task = [&shop](const Value& request) -> Task {
    if (!request.is_map())
      throw ConfigError(request.mark(), "expected a JSON object, found " + std::string(request.type_name()));
    const std::string& kind = host::name_from(request.at("kind"), "kind of job", {"attribute", "context"});
    const Task task = kind == "context" ? context_task(shop, request) : attribution_task(shop, request);
    return [task](const Reporter& reporter) {
      try {
        return task(reporter);
      } catch (const c10::Error& error) {  // of libtorch; its own text has a trace that tells clients nothing
        throw Error(ExitStatus::defect,
                    std::string("defect in whence, please report it: ") + error.what_without_backtrace());
      }
    };
  };
  return {{{"server", std::move(server_facts)},
           {"model", model_json(shop)},
           {"methods", plugins_json(catalogue, PluginKind::method)},
           {"step-functions", plugins_json(catalogue, PluginKind::step_function)},
           {"examples", kExamples}},
          make_task};
}

}  // namespace whence::serve
