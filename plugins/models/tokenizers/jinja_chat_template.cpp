#include "jinja_chat_template.h"

#include <algorithm>

#include "checkpoint_files.h"
#include "foreign_text.h"

namespace whence {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const Value::Map& map);

struct ToJson {
  ordered_json operator()(std::monostate) const { return nullptr; }
  ordered_json operator()(const Value::List& list) const {
    auto array = ordered_json::array();
    for (const Value& item : list) array.push_back(std::visit(*this, item.data()));
    return array;
  }
  ordered_json operator()(const Value::Map& map) const { return to_json(map); }
  ordered_json operator()(const auto& scalar) const { return scalar; }
};

ordered_json to_json(const Value::Map& map) {
  auto object = ordered_json::object();
  for (const auto& [key, value] : map) object[key] = std::visit(ToJson{}, value.data());
  return object;
}

/// The named templates of a folder.
struct Found {
  std::vector<ChatTemplateSource> sources;
  std::vector<std::string> texts;

  void add(const std::string& name, const std::string& place, std::string text) {
    sources.push_back({name, place});
    texts.push_back(std::move(text));
  }
};

void add_from_json(const nlohmann::json& object, const std::filesystem::path& path, Found& found) {
  const auto value = object.find("chat_template");
  if (value == object.end() || value->is_null()) return;
  const std::string place = path.string() + ": chat_template";
  if (value->is_string()) return found.add("default", place, value->get<std::string>());
  if (!value->is_array()) throw ModelError(place + ": expected a template or a list, found " + value->type_name());
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto& entry = (*value)[i];
    const std::string own = place + "[" + std::to_string(i) + "]";
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() || !entry.contains("template") ||
        !entry["template"].is_string())
      throw ModelError(own + ": expected an object with the texts name and template");
    found.add(entry["name"].get<std::string>(), own, entry["template"].get<std::string>());
  }
}

}  // namespace

JinjaChatTemplate::JinjaChatTemplate(std::string origin, Value::Map specials, std::vector<ChatTemplateSource> sources,
                                     std::vector<std::string> texts)
    : origin_(std::move(origin)),
      specials_(std::move(specials)),
      sources_(std::move(sources)),
      texts_(std::move(texts)) {}

std::size_t JinjaChatTemplate::choose(const ChatRequest& request) const {
  if (sources_.empty())
    throw ModelError(origin_ +
                     ": the checkpoint has no chat template; take the instruction-tuned checkpoint, or give a template "
                     "(chat: {template_file: ...})");
  const auto index_of = [&](std::string_view name) {
    return std::ranges::find(sources_, name, &ChatTemplateSource::name) - sources_.begin();
  };
  const auto count = std::ssize(sources_);
  std::vector<std::string> names;
  for (const auto& source : sources_) names.push_back(source.name);
  if (!request.template_name.empty()) {
    if (const auto named = index_of(request.template_name); named < count) return named;
    throw UnknownName({}, "chat template", request.template_name, names);
  }
  const bool has_tools = std::ranges::any_of(
      request.variables, [](const auto& variable) { return variable.first == "tools" && !variable.second.is_null(); });
  if (has_tools)
    if (const auto tools = index_of("tool_use"); tools < count) return tools;
  if (const auto standard = index_of("default"); standard < count) return standard;
  if (count == 1) return 0;
  std::string known;
  for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
  throw ModelError(origin_ + ": none of the chat templates is named default; choose one of " + known +
                   " with chat: {template: NAME}");
}

std::string JinjaChatTemplate::render(const ChatRequest& request) const {
  const bool own = request.template_text.empty();
  const std::size_t chosen = own ? choose(request) : 0;
  ordered_json variables = to_json(specials_);
  variables.update(to_json(request.variables));
  const std::string text = ordered_json{
      {"template", own ? texts_[chosen] : request.template_text},
      {"variables", std::move(variables)},
      {"now", request.now}}.dump();
  ForeignText rendered, message;
  const auto status = whence_chat_render(text.data(), text.size(), &rendered, &message);
  if (status == WhenceTokenizerStatus::ok) return rendered.string();
  if (status == WhenceTokenizerStatus::input)
    throw InputError("the chat template refuses the messages: " + message.string());
  const std::string place = own ? sources_[chosen].place : "the given chat template";
  throw ModelError(place + ": " + message.string() +
                   "; mend the template, or give another one with chat: "
                   "{template_file: ...}");
}

std::unique_ptr<ChatTemplate> chat_template_from_directory(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  Found found;
  if (const fs::path file = directory / "chat_template.jinja"; fs::exists(file))
    found.add("default", file.string(), read_file(file));
  if (const fs::path folder = directory / "additional_chat_templates"; fs::is_directory(folder)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".jinja") files.push_back(entry.path());
    std::ranges::sort(files);
    for (const auto& file : files) found.add(file.stem().string(), file.string(), read_file(file));
  }
  for (const char* name : {"tokenizer_config.json", "chat_template.json"})
    if (found.sources.empty()) add_from_json(read_object(directory / name), directory / name, found);

  const CheckpointFiles files(directory);
  const TokenizerClass& defaults = files.tokenizer_class();
  Value::Map specials;
  const auto add = [&](const char* key, const char* otherwise) {
    if (const auto token = files.special_token(key, otherwise)) specials.emplace_back(key, Value(*token));
  };
  add("bos_token", defaults.bos);
  add("eos_token", defaults.eos);
  add("unk_token", defaults.unknown);
  add("pad_token", defaults.pad);
  for (const char* key : {"sep_token", "cls_token", "mask_token"}) add(key, nullptr);
  const auto more = files.additional_special_tokens();
  if (!more.empty()) specials.emplace_back("additional_special_tokens", Value(Value::List(more.begin(), more.end())));
  return std::make_unique<JinjaChatTemplate>(directory.string(), std::move(specials), std::move(found.sources),
                                             std::move(found.texts));
}

}  // namespace whence
