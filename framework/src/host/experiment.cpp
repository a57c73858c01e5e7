#include "host/experiment.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "host/checked_value.h"
#include "host/choice_value.h"
#include "host/context_value.h"
#include "host/yaml.h"
#include "whence/generation_options.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;

void read_languages(const Value& value, InputText& input) {
  for (const auto& [key, language] : {std::pair("src_lang", &input.src_lang), std::pair("tgt_lang", &input.tgt_lang)})
    if (const Value* given = value.find(key); given && !given->is_null()) *language = given->as_string();
}

Value message(const std::string& role, const std::string& content, const Mark& where) {
  return Value(Value::Map{{"role", Value(role, where)}, {"content", Value(content, where)}}, where);
}

/// Messages, or one of the user's, behind one of the system's.
Value with_system(const Value& messages, const std::string& text, const Value& system) {
  if (messages.is_null()) return user_turn(text, system.as_string(), system.mark());
  Value::List list = messages.as_list();
  if (!list.empty() && list.front().is_map() && list.front().at("role").as_string() == "system")
    throw ConfigError(system.key_mark(), "'system' is given, but the messages begin with one of the system; keep one");
  list.insert(list.begin(), message("system", system.as_string(), system.mark()));
  return Value(std::move(list), messages.mark());
}

/// What the keys messages, system and chat say of the inputs.
void parse_chats(const Value& document, const fs::path& base, Experiment& experiment) {
  const Value* messages = document.find("messages");
  const Value* system = document.find("system");
  const Value* chat = document.find("chat");
  if (messages) {
    if (document.find("inputs"))
      throw ConfigError(messages->key_mark(), "'messages' and 'inputs' are given; keep one, since both are the prompt");
    experiment.inputs.push_back({.messages = *messages, .where = messages->mark()});
    name_inputs(experiment.inputs);
  }
  if (chat) experiment.chat = parse_chat(*chat, base);
  const bool all = system || (chat && !(chat->is_bool() && !chat->as_bool()));
  for (InputText& input : experiment.inputs) {
    const bool is_chat = !input.messages.is_null();
    if (!is_chat && all) input.messages = user_turn(input.text, system ? system->as_string() : "", input.where);
    if (is_chat && system) input.messages = with_system(input.messages, "", *system);
    if (!input.messages.is_null()) input.text.clear();
  }
}

InputText parse_input(const Value& value, const fs::path& base) {
  InputText input;
  input.where = value.mark();
  if (!value.is_map()) {
    input.text = value.as_string();
    return input;
  }
  std::vector<std::string> known{"id",    "text", "messages", "system",   "generated",
                                 "start", "end",  "src_lang", "tgt_lang", "explain"};
  known.insert(known.end(), contrast_keys().begin(), contrast_keys().end());
  value.require_known_keys(known);
  const Value* messages = value.find("messages");
  const Value* system = value.find("system");
  if (messages && value.find("text"))
    throw ConfigError(messages->key_mark(), "an input has 'text' and 'messages'; keep one, since both are the prompt");
  if (messages) input.messages = *messages;
  if (!messages) input.text = value.at("text").as_string();
  if (system) input.messages = with_system(messages ? *messages : Value(), input.text, *system);
  if (const Value* id = value.find("id")) input.id = id->is_int() ? std::to_string(id->as_int()) : id->as_string();
  if (const Value* generated = value.find("generated"); generated && !generated->is_null())
    input.generated = generated->as_string();
  if (const Value* start = value.find("start"); start && !start->is_null()) input.start = start->as_int();
  if (const Value* end = value.find("end"); end && !end->is_null()) input.end = end->as_int();
  read_languages(value, input);
  input.contrast = parse_contrast(value, base);
  if (const Value* explain = value.find("explain"); explain && !explain->is_null())
    input.explain = parse_explain(*explain);
  return input;
}

void parse_inputs(const Value& value, const fs::path& base, Experiment& experiment) {
  if (value.is_map()) {
    if (const Value* file = value.find("file")) {
      value.require_known_keys({"file", "fields"});
      experiment.input_file = (base / file->as_string()).lexically_normal();
      const Value* fields = value.find("fields");
      experiment.inputs = read_inputs(*experiment.input_file, fields ? *fields : Value());
    } else {
      experiment.inputs.push_back(parse_input(value, base));
    }
  } else {
    for (const Value& item : one_or_many(value)) experiment.inputs.push_back(parse_input(item, base));
  }
  if (experiment.inputs.empty()) throw ConfigError(value.mark(), "'inputs' is empty; give at least one text");
  try {
    name_inputs(experiment.inputs);
  } catch (const ConfigError& error) {
    if (experiment.input_file) throw InputError(error.what());
    throw;
  }
}

void parse_model(const Value& value, const fs::path& base, Experiment& experiment) {
  if (value.is_map()) {
    value.require_known_keys({"path", "plugin", "dtype", "weights"});
    if (const Value* plugin = value.find("plugin"); plugin && !plugin->is_null()) {
      experiment.model_plugin = plugin->as_string();
      experiment.model_plugin_where = plugin->mark();
    }
    if (const Value* dtype = value.find("dtype")) experiment.dtype = parse_dtype(*dtype);
    if (const Value* weights = value.find("weights")) experiment.weights = parse_weights(*weights);
  }
  const Value& path = value.is_map() ? value.at("path") : value;
  experiment.model_path = find_model(path.as_string(), base, path.mark());
  experiment.model_where = path.mark();
}

/// Keys that say what is attributed, which `context` says itself.
void refuse_beside_context(const Value& document) {
  std::vector<std::string> keys{"attributions", "inputs",     "languages",        "messages", "system",
                                "chat",         "evaluation", "attribute_target", "explain"};
  keys.insert(keys.end(), contrast_keys().begin(), contrast_keys().end());
  for (const std::string& key : keys)
    if (const Value* found = document.find(key); found && !found->is_null())
      throw ConfigError(found->key_mark(), "'" + key +
                                               "' is of experiments with attributions, but 'context' is given; " +
                                               "keep one, and say the rest under it");
}

void parse_attributions(const Value& value, Experiment& experiment) {
  std::set<std::string> seen;
  for (const Value& item : one_or_many(value)) {
    experiment.attributions.push_back(parse_attribution(item));
    if (const std::string& name = experiment.attributions.back().name; !seen.insert(name).second)
      throw ConfigError(item.mark(), "two attributions are named '" + name +
                                         "'; give this one another 'name', since it names the result file");
  }
  if (experiment.attributions.empty())
    throw ConfigError(value.mark(), "'attributions' is empty; give at least one method");
}

/// Gives every input what the experiment says of contrasts for all.
void share_contrast(const std::optional<ContrastText>& common, Experiment& experiment) {
  if (!common) return;
  for (InputText& input : experiment.inputs) add_common(*common, input.contrast);
  if (common->alignment && std::ranges::none_of(experiment.inputs, [](const InputText& input) {
        return input.contrast && input.contrast->target;
      }))
    throw ConfigError(common->where, "'contrast_alignment' has no effect, since no input has a contrast_target");
}

OutputSpec parse_output(const Value& value) {
  OutputSpec output;
  if (!value.is_map() || !value.find("renderer")) {
    output.renderer = parse_choice(value, "renderer");
    return output;
  }
  value.require_known_keys({"renderer", "params", "file"});
  output.renderer = parse_choice_with_params(value.at("renderer"), value.find("params"), "renderer");
  const Value* file = value.find("file");
  if (!file || file->is_null()) return output;
  output.file = file->as_string();
  std::string plain = output.file;
  for (std::size_t at; (at = plain.find("{name}")) != std::string::npos;) plain.replace(at, 6, "name");
  file_name_from(Value(plain, file->mark()), "file");
  if (plain == output.file)
    throw ConfigError(
        file->mark(),
        "'file' is '" + output.file +
            "'; write {name} where the name of the attribution goes, since every attribution is rendered");
  return output;
}

Value text(const std::string& value) { return Value(value); }
Value number(std::int64_t value) { return Value(value); }

template <class T>
Value list_value(const std::vector<T>& items) {
  return Value(Value::List(items.begin(), items.end()));
}

Value input_value(const InputText& input) {
  Value::Map map{{"id", text(input.id)}};
  map.emplace_back(input.messages.is_null() ? "text" : "messages",
                   input.messages.is_null() ? text(input.text) : input.messages);
  if (input.generated) map.emplace_back("generated", text(*input.generated));
  if (input.start) map.emplace_back("start", number(*input.start));
  if (input.end) map.emplace_back("end", number(*input.end));
  if (!input.src_lang.empty()) map.emplace_back("src_lang", text(input.src_lang));
  if (!input.tgt_lang.empty()) map.emplace_back("tgt_lang", text(input.tgt_lang));
  if (input.contrast)
    for (auto& entry : contrast_value(*input.contrast)) map.push_back(std::move(entry));
  if (input.explain) map.emplace_back("explain", explain_value(*input.explain));
  return Value(std::move(map));
}

Value chat_value(const ChatOptions& chat) {
  Value::Map map{{"continue_final_message", Value(chat.continue_final_message)},
                 {"special_tokens", text(chat.allow_special_tokens ? "allow" : "refuse")},
                 {"chat_template_kwargs", Value(chat.variables)}};
  if (chat.add_generation_prompt) map.emplace_back("add_generation_prompt", Value(*chat.add_generation_prompt));
  if (!chat.template_name.empty()) map.emplace_back("template", text(chat.template_name));
  if (!chat.template_text.empty()) map.emplace_back("template_text", text(chat.template_text));
  if (!chat.tools.is_null()) map.emplace_back("tools", chat.tools);
  if (!chat.documents.is_null()) map.emplace_back("documents", chat.documents);
  if (!chat.now.empty()) map.emplace_back("now", text(chat.now));
  return Value(std::move(map));
}

Value output_value(const OutputSpec& output) {
  Value::Map map{{"renderer", choice_value(output.renderer)}};
  if (!output.file.empty()) map.emplace_back("file", text(output.file));
  return Value(std::move(map));
}

/// `folders` are the paths of the document, made absolute.
void check_plugin_paths(const std::vector<Value>& paths, const std::vector<fs::path>& folders) {
  std::error_code unreadable;
  for (std::size_t i = 0; i < folders.size(); ++i)
    if (!fs::is_directory(folders[i], unreadable))
      throw ConfigError(paths[i].mark(), folders[i].string() + ": no such plugin folder; correct plugins.paths");
}

fs::path expand_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  if (home && (path == "~" || path.starts_with("~/"))) return fs::path(home + path.substr(1));
  return path;
}

}  // namespace

Value user_turn(const std::string& text, const std::string& system, const Mark& where) {
  Value::List list;
  if (!system.empty()) list.push_back(message("system", system, where));
  list.push_back(message("user", text, where));
  return Value(std::move(list), where);
}

ChatOptions parse_chat(const Value& value, const fs::path& base) {
  ChatOptions chat;
  if (value.is_bool()) return chat;
  value.require_known_keys({"template", "template_file", "template_text", "tools", "documents", "chat_template_kwargs",
                            "add_generation_prompt", "continue_final_message", "special_tokens", "now"});
  if (const Value* v = value.find("template")) chat.template_name = v->as_string();
  if (const Value* v = value.find("template_text")) chat.template_text = v->as_string();
  if (const Value* v = value.find("template_file")) {
    const fs::path file = base / expand_home(v->as_string());
    std::ifstream stream(file, std::ios::binary);
    chat.template_text.assign(std::istreambuf_iterator<char>(stream), {});
    if (!stream || chat.template_text.empty())
      throw ConfigError(v->mark(), file.string() + ": cannot be read or is empty; expected a chat template in Jinja");
  }
  if (!chat.template_name.empty() && !chat.template_text.empty())
    throw ConfigError(value.mark(), "'template' names one of the checkpoint's, but another is given; keep one");
  if (const Value* v = value.find("tools")) chat.tools = *v;
  if (const Value* v = value.find("documents")) chat.documents = *v;
  if (const Value* v = value.find("chat_template_kwargs"); v && !v->is_null()) chat.variables = v->as_map();
  if (const Value* v = value.find("add_generation_prompt")) chat.add_generation_prompt = v->as_bool();
  if (const Value* v = value.find("continue_final_message")) chat.continue_final_message = v->as_bool();
  if (const Value* v = value.find("special_tokens"))
    chat.allow_special_tokens = name_from(*v, "way with special tokens", {"allow", "refuse"}) == "allow";
  if (const Value* v = value.find("now")) chat.now = v->as_string();
  return chat;
}

GenerationConfig parse_generation(const Value& value) {
  static const std::map<std::string, std::string> kShort{{"eos", "eos_token_id"}, {"stop", "stop_strings"}};
  Value::Map options;
  for (const auto& [key, option] : value.as_map()) {
    const auto known = kShort.find(key);
    const std::string& name = known == kShort.end() ? key : known->second;
    if (name != key && value.find(name))
      throw ConfigError(option.key_mark(), "'" + key + "' is short for '" + name + "', which is given, too; keep one");
    options.emplace_back(name, option);
  }
  return read_generation_options(Value(std::move(options), value.mark()));
}

std::string parse_dtype(const Value& value) {
  return name_from(value, "dtype", {"bfloat16", "float16", "float32", "float64", "mixed"});
}

std::string parse_weights(const Value& value) {
  return name_from(value, "way to hold weights", {"auto", "packed", "unpacked"});
}

std::int64_t parse_bytes(const Value& value) {
  if (value.is_int()) return integer_from(value, "memory", 0);
  const std::string& given = value.as_string();
  const auto wrong = [&] {
    return ConfigError(value.mark(),
                       "'memory' is '" + given + "'; expected bytes, or a number with kB, MB, GB, KiB, MiB or GiB");
  };
  char* rest = nullptr;
  const double amount = std::strtod(given.c_str(), &rest);
  std::string unit = rest;
  std::erase(unit, ' ');
  static const std::map<std::string, double> kUnits{
      {"", 1},         {"B", 1},           {"kB", 1e3},           {"KB", 1e3},   {"MB", 1e6},      {"GB", 1e9},
      {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"K", 1024.0}, {"M", 1048576.0}, {"G", 1073741824.0}};
  const auto found = kUnits.find(unit);
  if (rest == given.c_str() || found == kUnits.end() || !(amount >= 0) || amount * found->second > 9e18) throw wrong();
  return static_cast<std::int64_t>(amount * found->second);
}

std::string find_model(const std::string& path, const fs::path& base, const Mark& where) {
  if (path.empty()) throw ConfigError(where, "the path of the model is empty; name a checkpoint's file or folder");
  const fs::path here = fs::absolute(base / expand_home(path)).lexically_normal();
  std::error_code unreadable;
  if (fs::exists(here, unreadable) || path.find('/') != std::string::npos) return here.string();
  if (const char* folders = std::getenv("WHENCE_MODELS")) {
    std::string_view rest = folders;
    while (!rest.empty()) {
      const std::string_view folder = rest.substr(0, rest.find(':'));
      rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
      if (!folder.empty() && fs::exists(fs::path(folder) / path, unreadable))
        return fs::absolute(fs::path(folder) / path).lexically_normal().string();
    }
  }
  return here.string();
}

Experiment load_experiment(const fs::path& path) {
  if (path.empty()) throw ConfigError("the path of the experiment is empty; name a YAML file");
  const fs::path file = fs::absolute(path);
  const Value document = load_yaml(path);
  Experiment experiment = parse_experiment(document, file.parent_path());
  experiment.file = file;
  if (!experiment.plugin_paths.empty())
    check_plugin_paths(one_or_many(document.at("plugins").at("paths")), experiment.plugin_paths);
  if (!document.find("name"))
    experiment.name = file_name_from(Value(file.stem().string(), {path.string(), 0, 0}), "name");
  return experiment;
}

Experiment parse_experiment(const Value& document, const fs::path& base) {
  if (!document.is_map())
    throw ConfigError(document.mark(),
                      "an experiment is a mapping with the keys model, inputs and attributions; found " +
                          std::string(document.type_name()));
  std::vector<std::string> known{"name",       "model",   "inputs",  "languages", "generation", "attributions",
                                 "outputs",    "seed",    "threads", "memory",    "batch_size", "attribute_target",
                                 "messages",   "system",  "chat",    "plugins",   "output_dir", "include_eos_baseline",
                                 "evaluation", "context", "explain"};
  known.insert(known.end(), contrast_keys().begin(), contrast_keys().end());
  document.require_known_keys(known);
  Experiment experiment;
  if (const Value* v = document.find("name")) experiment.name = file_name_from(*v, "name");
  if (const Value* v = document.find("seed")) experiment.seed = static_cast<std::uint64_t>(integer_from(*v, "seed", 0));
  experiment.generation.seed = experiment.seed;
  if (const Value* v = document.find("generation"); v && !v->is_null()) {
    experiment.generation = parse_generation(*v);
    if (!v->find("seed")) experiment.generation.seed = experiment.seed;
  }
  if (const Value* v = document.find("threads"))
    experiment.threads = static_cast<int>(integer_from(*v, "threads", 0, 4096));
  if (const Value* v = document.find("memory")) experiment.memory_bytes = parse_bytes(*v);
  if (const Value* v = document.find("batch_size")) experiment.batch_size = integer_from(*v, "batch_size", 1);
  if (const Value* v = document.find("attribute_target")) experiment.attribute_target = v->as_bool();
  if (const Value* v = document.find("include_eos_baseline")) experiment.eos_baseline = v->as_bool();
  if (const Value* v = document.find("plugins"); v && !v->is_null()) {
    v->require_known_keys({"paths"});
    if (const Value* paths = v->find("paths"))
      for (const Value& path : one_or_many(*paths))
        experiment.plugin_paths.push_back(fs::absolute(base / expand_home(path.as_string())).lexically_normal());
  }
  const Value* output_dir = document.find("output_dir");
  experiment.output_dir =
      output_dir ? fs::absolute(base / expand_home(output_dir->as_string())).lexically_normal() : fs::absolute("runs");
  const Value* context = document.find("context");
  if (context) {
    refuse_beside_context(document);
    parse_context(*context, base, experiment.context.emplace(), experiment.context_inputs);
  } else {
    parse_attributions(document.at("attributions"), experiment);
  }
  experiment.outputs = {{{"terminal", {}, {}}, ""}};
  if (const Value* v = document.find("outputs"); v && !v->is_null()) {
    experiment.outputs.clear();
    for (const Value& item : one_or_many(*v)) experiment.outputs.push_back(parse_output(item));
  }
  if (const Value* v = document.find("evaluation"); v && !v->is_null()) experiment.evaluation = parse_evaluation(*v);
  parse_model(document.at("model"), base, experiment);
  if (context) return experiment;
  if (!document.find("messages") || document.find("inputs")) parse_inputs(document.at("inputs"), base, experiment);
  parse_chats(document, base, experiment);
  if (const Value* v = document.find("languages"); v && !v->is_null()) {
    v->require_known_keys({"src_lang", "tgt_lang"});
    InputText common;
    read_languages(*v, common);
    for (InputText& input : experiment.inputs) {
      if (input.src_lang.empty()) input.src_lang = common.src_lang;
      if (input.tgt_lang.empty()) input.tgt_lang = common.tgt_lang;
    }
  }
  share_contrast(parse_contrast(document, base), experiment);
  if (const Value* v = document.find("explain"); v && !v->is_null())
    for (InputText& input : experiment.inputs)
      if (!input.explain) input.explain = parse_explain(*v);
  return experiment;
}

Value resolved(const Experiment& experiment) {
  Value::Map model{
      {"path", text(experiment.model_path)}, {"dtype", text(experiment.dtype)}, {"weights", text(experiment.weights)}};
  if (experiment.model_plugin) model.emplace_back("plugin", text(*experiment.model_plugin));
  Value::List inputs, attributions, outputs, paths;
  for (const ContextInput& input : experiment.context_inputs) inputs.push_back(context_input_value(input));
  for (const InputText& input : experiment.inputs) inputs.push_back(input_value(input));
  for (const AttributionSpec& spec : experiment.attributions) attributions.push_back(attribution_value(spec));
  for (const OutputSpec& output : experiment.outputs) outputs.push_back(output_value(output));
  for (const fs::path& path : experiment.plugin_paths) paths.push_back(text(path.string()));
  const auto is_chat = [](const InputText& input) { return !input.messages.is_null(); };
  Value::Map document{{"name", text(experiment.name)},
                      {"model", Value(std::move(model))},
                      {"generation", generation_options(experiment.generation)},
                      {"outputs", Value(std::move(outputs))},
                      {"seed", number(static_cast<std::int64_t>(experiment.seed))},
                      {"threads", number(experiment.threads)},
                      {"memory", number(experiment.memory_bytes)},
                      {"batch_size", number(experiment.batch_size)},
                      {"include_eos_baseline", Value(experiment.eos_baseline)},
                      {"plugins", Value(Value::Map{{"paths", Value(std::move(paths))}})},
                      {"output_dir", text(experiment.output_dir.string())}};
  if (experiment.context) {
    Value::Map context = context_value(*experiment.context);
    context.emplace_back("inputs", Value(std::move(inputs)));
    document.emplace_back("context", Value(std::move(context)));
  } else {
    document.emplace_back("inputs", Value(std::move(inputs)));
    document.emplace_back("attributions", Value(std::move(attributions)));
    document.emplace_back("attribute_target", Value(experiment.attribute_target));
  }
  if (std::any_of(experiment.inputs.begin(), experiment.inputs.end(), is_chat))
    document.emplace_back("chat", chat_value(experiment.chat));
  if (experiment.evaluation) document.emplace_back("evaluation", evaluation_value(*experiment.evaluation));
  return Value(std::move(document));
}

}  // namespace whence::host
