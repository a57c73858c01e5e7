#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "host/experiment.h"
#include "host/yaml.h"

namespace whence::host {
namespace {

const std::vector<std::string> kFields{"text",
                                       "generated",
                                       "id",
                                       "start",
                                       "end",
                                       "src_lang",
                                       "tgt_lang",
                                       "contrast_target",
                                       "contrast_source",
                                       "contrast_alignment",
                                       "explain"};

std::string place(const std::filesystem::path& file, int line) { return Mark{file.string(), line, 0}.text(); }

/// The member that holds `field`: the name the experiment gives, or the field's own.
std::string member_of(const Value& fields, const std::string& field) {
  const Value* given = fields.find(field);
  return given ? given->as_string() : field;
}

const nlohmann::json* find(const nlohmann::json& record, const std::string& member) {
  const auto found = record.find(member);
  return found == record.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const nlohmann::json& value, const std::string& where, const std::string& member) {
  if (!value.is_string()) throw InputError(where + ": '" + member + "' is " + value.type_name() + "; expected text");
  return value.get<std::string>();
}

std::optional<std::int64_t> position_of(const nlohmann::json& record, const std::string& where,
                                        const std::string& member) {
  const nlohmann::json* value = find(record, member);
  if (!value) return {};
  if (!value->is_number_integer())
    throw InputError(where + ": '" + member + "' is " + value->type_name() + "; expected an integer");
  return value->get<std::int64_t>();
}

/// What a record is compared with. An alignment is JSON, and so YAML.
std::optional<ContrastText> contrast_of(const nlohmann::json& record, const std::string& where, const Value& fields,
                                        const std::filesystem::path& folder) {
  ContrastText contrast;
  for (const auto& [field, text] :
       {std::pair("contrast_target", &contrast.target), std::pair("contrast_source", &contrast.source)}) {
    const std::string member = member_of(fields, field);
    if (const auto* given = find(record, member)) *text = text_of(*given, where, member);
  }
  const std::string member = member_of(fields, "contrast_alignment");
  if (const auto* given = find(record, member)) {
    try {
      contrast.alignment = parse_alignment(parse_yaml(given->dump(), ""), folder);
    } catch (const ConfigError& error) {
      throw InputError(where + ": '" + member + "': " + error.what());
    }
  }
  if (contrast == ContrastText()) return {};
  return contrast;
}

InputText read_record(const std::string& line, const std::string& where, const Value& fields,
                      const std::filesystem::path& folder) {
  nlohmann::json record;
  try {
    record = nlohmann::json::parse(line);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(where + ": no valid JSON: " + error.what() + "; a .jsonl file holds one JSON object per line");
  }
  if (!record.is_object())
    throw InputError(where + ": a JSON " + record.type_name() + "; expected an object with the member '" +
                     member_of(fields, "text") + "'");
  InputText input;
  const std::string text = member_of(fields, "text");
  const nlohmann::json* value = find(record, text);
  if (!value) {
    std::vector<std::string> members;
    for (const auto& [name, _] : record.items()) members.push_back(name);
    const std::string nearest = nearest_name(text, members);
    throw InputError(where + ": the member '" + text + "' is missing" +
                     (nearest.empty() ? "; name the member that holds the text with fields: {text: ...}"
                                      : "; did you mean fields: {text: " + nearest + "}?"));
  }
  input.text = text_of(*value, where, text);
  if (const std::string member = member_of(fields, "generated"); const auto* generated = find(record, member))
    input.generated = text_of(*generated, where, member);
  if (const std::string member = member_of(fields, "id"); const auto* id = find(record, member))
    input.id = id->is_number_integer() ? id->dump() : text_of(*id, where, member);
  input.start = position_of(record, where, member_of(fields, "start"));
  input.end = position_of(record, where, member_of(fields, "end"));
  for (const auto& [field, language] :
       {std::pair("src_lang", &input.src_lang), std::pair("tgt_lang", &input.tgt_lang)}) {
    const std::string member = member_of(fields, field);
    if (const auto* given = find(record, member)) *language = text_of(*given, where, member);
  }
  input.contrast = contrast_of(record, where, fields, folder);
  if (const std::string member = member_of(fields, "explain"); const auto* explain = find(record, member)) {
    try {
      input.explain = parse_explain(parse_yaml(explain->dump(), ""));
    } catch (const ConfigError& error) {
      throw InputError(where + ": '" + member + "': " + error.what());
    }
  }
  return input;
}

}  // namespace

bool InputText::operator==(const InputText& other) const {
  return id == other.id && text == other.text && messages == other.messages && generated == other.generated &&
         start == other.start && end == other.end && src_lang == other.src_lang && tgt_lang == other.tgt_lang &&
         contrast == other.contrast && explain == other.explain;
}

std::vector<InputText> read_inputs(const std::filesystem::path& file, const Value& fields) {
  if (!fields.is_null()) fields.require_known_keys(kFields);
  const bool records = file.extension() == ".jsonl";
  if (!records && !fields.is_null())
    throw ConfigError(fields.mark(),
                      "'fields' needs a file of JSON objects; " + file.string() + " does not end in .jsonl");
  std::ifstream stream(file, std::ios::binary);
  std::error_code unreadable;
  if (!stream || std::filesystem::is_directory(file, unreadable))
    throw InputError(file.string() + ": cannot be read; expected a file of texts, one per line");
  std::vector<InputText> inputs;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    InputText input =
        records ? read_record(line, place(file, number), fields, file.parent_path()) : InputText{.text = line};
    input.where = {file.string(), number, 0};
    if (input.contrast) input.contrast->where = input.where;
    if (input.explain) input.explain->where = input.where;
    if (input.contrast && input.contrast->alignment) input.contrast->alignment->where = input.where;
    inputs.push_back(std::move(input));
  }
  if (inputs.empty()) throw InputError(file.string() + ": holds no text; expected one per line");
  return inputs;
}

void name_inputs(std::vector<InputText>& inputs) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].id.empty()) inputs[i].id = std::to_string(i);
    if (!seen.insert(inputs[i].id).second)
      throw ConfigError(inputs[i].where, "two inputs have the id '" + inputs[i].id +
                                             "'; ids name them in results, so each needs its own");
  }
}

}  // namespace whence::host
