#include "checkpoint_page.h"

#include <map>
#include <regex>

#include "amount_text.h"

namespace whence::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kProblemsShown = 20;

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string line(const std::string& name, const std::string& value) {
  return value.empty() ? "" : name + ": " + value + "\n";
}

/// Names that differ in numbers alone are one pattern, "model.layers.*.mlp.bias (30)".
std::string name_patterns(const std::vector<std::string>& names) {
  static const std::regex kNumber("[0-9]+");
  std::map<std::string, std::vector<std::string>> patterns;
  for (const std::string& name : names) patterns[std::regex_replace(name, kNumber, "*")].push_back(name);
  std::vector<std::string> texts;
  for (const auto& [pattern, alike] : patterns)
    texts.push_back(alike.size() == 1 ? alike.front() : pattern + " (" + std::to_string(alike.size()) + ")");
  return joined(texts);
}

std::string kind_text(const std::optional<ModelKind>& kind) {
  if (!kind) return "";
  return *kind == ModelKind::decoder_only ? "decoder_only" : "encoder_decoder";
}

std::string architecture_text(const CheckpointReport& report) {
  const std::string type = report.type.empty() ? "" : report.type_key + " '" + report.type + "'";
  if (report.architecture.empty()) return type.empty() ? "" : "not known, " + type;
  return report.architecture + (type.empty() ? "" : " by " + type) +
         (report.architecture_file.empty() ? "" : ", " + report.architecture_file);
}

std::string sizes_text(const CheckpointReport& report) {
  std::string text;
  for (const auto& [name, value] : report.sizes) text += "  " + name + ": " + std::to_string(value) + "\n";
  return text.empty() ? "" : "sizes:\n" + text;
}

std::string tensors_text(const CheckpointReport& report) {
  std::string text;
  for (const StoredTensors& stored : report.stored)
    text += "  stored as " + stored.type + ": " + counted(stored.tensors, "tensor") + ", " +
            counted(stored.numbers, "number") + ", " + bytes_text(stored.bytes) + "\n";
  const TensorUse& use = report.tensors;
  if (!use.used.empty()) text += "  used: " + std::to_string(use.used.size()) + "\n";
  text += line("  not used", name_patterns(use.unused));
  text += line("  hold nothing to be learnt", name_patterns(use.ignored));
  text += line("  missing", name_patterns(use.missing));
  return text.empty() ? "" : "tensors:\n" + text;
}

std::string tokenizer_text(const std::optional<TokenizerReport>& tokenizer) {
  if (!tokenizer) return "";
  std::string text = "tokenizer:\n" + line("  kind", tokenizer->kind) + line("  source", tokenizer->source) +
                     line("  pre-tokenizer", tokenizer->pre_tokenizer.empty() ? "none" : tokenizer->pre_tokenizer) +
                     line("  tokens", std::to_string(tokenizer->size));
  if (tokenizer->target_size) text += line("  tokens of the target", std::to_string(*tokenizer->target_size));
  for (const SpecialToken& special : tokenizer->special)
    text += line("  " + special.role, "'" + special.token + "', id " + std::to_string(special.id));
  return text;
}

std::string templates_text(const CheckpointReport& report) {
  std::vector<std::string> texts;
  for (const ChatTemplateSource& source : report.chat_templates) texts.push_back(source.name + " of " + source.place);
  return line("chat template", texts.empty() ? "none" : joined(texts));
}

std::string memory_text(const CheckpointMemory& memory) {
  const auto bytes = [](const std::string& name, std::int64_t amount) {
    return amount == 0 ? "" : "  " + name + ": " + bytes_text(amount) + "\n";
  };
  const std::string text =
      bytes("weights as stored", memory.stored) + bytes("weights unpacked, both directions", memory.unpacked) +
      bytes("working memory where they stay packed", memory.packed) +
      bytes("each token of a pass", memory.forward_row) + bytes("each token that is pulled back", memory.traced_row) +
      bytes("each token and explained step", memory.cotangent_row);
  return text.empty() ? "" : "memory, estimated:\n" + text;
}

std::string list_text(const std::string& title, const std::vector<std::string>& items, std::size_t most) {
  if (items.empty()) return "";
  std::string text = title + ":\n";
  for (std::size_t i = 0; i < std::min(items.size(), most); ++i) text += "  " + items[i] + "\n";
  if (items.size() > most) text += "  and " + std::to_string(items.size() - most) + " more, shown by --json\n";
  return text;
}

}  // namespace

std::string checkpoint_text(const host::ExaminedModel& model) {
  const CheckpointReport& report = model.report;
  std::vector<std::string> problems;
  for (const CheckpointProblem& problem : report.problems) problems.push_back(problem.text);
  return line("checkpoint", report.description) + line("plugin", model.plugin) +
         line("architecture", architecture_text(report)) + line("class", report.class_name) +
         line("kind", kind_text(report.kind)) +
         line("parameters", report.parameters > 0 ? std::to_string(report.parameters) : "") + sizes_text(report) +
         tensors_text(report) + tokenizer_text(report.tokenizer) + templates_text(report) + memory_text(report.memory) +
         list_text("settings that nothing reads", report.unread, report.unread.size()) +
         list_text("warnings", report.warnings, report.warnings.size()) +
         list_text("problems", problems, kProblemsShown);
}

Json checkpoint_json(const host::ExaminedModel& model) {
  const CheckpointReport& report = model.report;
  Json sizes = Json::object(), stored = Json::array(), tokenizer, templates = Json::array(), problems = Json::array();
  for (const auto& [name, value] : report.sizes) sizes[name] = value;
  for (const StoredTensors& one : report.stored)
    stored.push_back({{"type", one.type}, {"tensors", one.tensors}, {"numbers", one.numbers}, {"bytes", one.bytes}});
  if (const auto& own = report.tokenizer) {
    Json special = Json::object();
    for (const SpecialToken& one : own->special) special[one.role] = {{"token", one.token}, {"id", one.id}};
    tokenizer = {{"kind", own->kind},
                 {"source", own->source},
                 {"pre_tokenizer", own->pre_tokenizer},
                 {"tokens", own->size},
                 {"target_tokens", own->target_size.value_or(own->size)},
                 {"special", special}};
  }
  for (const ChatTemplateSource& source : report.chat_templates)
    templates.push_back({{"name", source.name}, {"place", source.place}});
  for (const CheckpointProblem& problem : report.problems)
    problems.push_back({{"text", problem.text}, {"exit_status", static_cast<int>(problem.status)}});
  const CheckpointMemory& memory = report.memory;
  return {{"checkpoint", report.description},
          {"plugin", model.plugin},
          {"architecture", report.architecture},
          {"architecture_file", report.architecture_file},
          {report.type_key.empty() ? "model_type" : report.type_key, report.type},
          {"class", report.class_name},
          {"kind", kind_text(report.kind)},
          {"parameters", report.parameters},
          {"sizes", sizes},
          {"stored", stored},
          {"tensors",
           {{"used", report.tensors.used},
            {"unused", report.tensors.unused},
            {"ignored", report.tensors.ignored},
            {"missing", report.tensors.missing}}},
          {"tokenizer", tokenizer},
          {"chat_templates", templates},
          {"memory",
           {{"stored", memory.stored},
            {"unpacked", memory.unpacked},
            {"packed", memory.packed},
            {"forward_row", memory.forward_row},
            {"traced_row", memory.traced_row},
            {"cotangent_row", memory.cotangent_row}}},
          {"unread_settings", report.unread},
          {"warnings", report.warnings},
          {"problems", problems}};
}

}  // namespace whence::cli
