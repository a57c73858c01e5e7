#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint_tokenizer.h"
#include "gguf_file.h"
#include "gguf_tokenizer.h"
#include "gguf_vocabulary.h"
#include "jinja_chat_template.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"
#include "tokenizer_case.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::ordered_json;
using testing::text_of_error;

Value to_value(const ordered_json& json) {
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_array()) {
    Value::List list;
    for (const auto& item : json) list.push_back(to_value(item));
    return Value(std::move(list));
  }
  if (!json.is_object()) return Value();
  Value::Map map;
  for (const auto& [key, item] : json.items()) map.emplace_back(key, to_value(item));
  return Value(std::move(map));
}

std::string render(const std::string& text, Value::Map variables = {}) {
  const JinjaChatTemplate chat("model", {}, {{"default", "model: chat_template"}}, {text});
  return chat.render({.variables = std::move(variables), .now = "2026-01-31T23:59:00"});
}

TEST(ChatTemplates, AgreeWithTheReference) {
  const auto stored = ordered_json::parse(std::ifstream(WHENCE_TEST_DATA "/chat/templates.json"));
  std::size_t refused = 0;
  for (const auto& test : stored["cases"]) {
    const std::string name = test["template"];
    SCOPED_TRACE(name + " " + test["variables"].dump());
    const JinjaChatTemplate chat("model", to_value(stored["specials"]).as_map(), {{"default", name}},
                                 {stored["templates"][name].get<std::string>()});
    const ChatRequest request{.variables = to_value(test["variables"]).as_map(), .now = "2026-01-31T23:59:00"};
    if (test.contains("text")) {
      EXPECT_EQ(chat.render(request), test["text"].get<std::string>());
    } else {
      ++refused;
      EXPECT_EQ(text_of_error([&] { chat.render(request); }),
                "the chat template refuses the messages: " + test["error"].get<std::string>());
    }
  }
  EXPECT_EQ(stored["cases"].size(), 80u);
  EXPECT_EQ(refused, 6u);
}

/// A tokenizer and the templates beside it.
struct Chat {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
};

Chat stored_chat(const std::string& name, const std::string& text) {
  const TokenizerCase files(name);
  files.write("chat_template.jinja", text);
  return {tokenizer_from_directory(files.path()), chat_template_from_directory(files.path())};
}

/// The GGUF file has its template and the tokens of the variables, which its own template does not read.
Chat smollm2() {
  const transformer::GgufFile file(std::filesystem::path(WHENCE_MODELS_DIR) / "SmolLM2-135M-Instruct.Q4_1.gguf");
  const std::vector<std::string> texts = {file.require<std::string>("tokenizer.chat_template")};
  const std::vector<ChatTemplateSource> sources = {{"default", "smollm2"}};
  return {tokenizer_from_gguf(transformer::read_vocabulary(file)),
          std::make_unique<JinjaChatTemplate>("smollm2", Value::Map{}, sources, texts)};
}

TEST(ChatTemplates, GiveTheIdsOfTheReference) {
  const auto templates = ordered_json::parse(std::ifstream(WHENCE_TEST_DATA "/chat/templates.json")).at("templates");
  const auto cases = ordered_json::parse(std::ifstream(WHENCE_TEST_DATA "/chat/ids.json"));
  ASSERT_EQ(cases.size(), 82u);
  std::map<std::string, Chat> chats;
  for (const auto& test : cases) {
    const std::string name = test["tokenizer"], key = name + test["template"].dump();
    SCOPED_TRACE(key + " " + test["variables"].dump());
    if (!chats.contains(key))
      chats[key] = name == "smollm2" ? smollm2() : stored_chat(name, templates.at(test["template"]));
    const auto& [tokenizer, chat_template] = chats[key];
    const std::string text =
        chat_template->render({.variables = to_value(test["variables"]).as_map(), .now = "2026-01-31T23:59:00"});
    const TokenIds ids = tokenizer->encode(text, {.add_special_tokens = false}).ids;
    EXPECT_EQ(ids, test["ids"].get<TokenIds>());
    const auto bos = tokenizer->special_ids().bos;
    ASSERT_GE(ids.size(), 2u);
    EXPECT_FALSE(ids[0] == bos && ids[1] == bos);
  }
}

TEST(ChatTemplates, SeeTheTimeThatIsGiven) {
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M') }}"), "31 Jan 2026 23:59");
}

TEST(ChatTemplates, BrokenOnesNameTheLine) {
  EXPECT_EQ(text_of_error([] { render("one\n{% if x %}\ntwo"); }).substr(0, 28), "model: chat_template: line 3");
  const std::string error = text_of_error([] {
    render(
        "{% for a in range(9999) %}{% for b in range(9999) %}"
        "{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}");
  });
  EXPECT_NE(error.find("does not come to an end"), std::string::npos) << error;
  for (const char* text : {"{% for a in range(9999) %}{{ big }}{% endfor %}",
                           "{% set kept %}{% for a in range(9999) %}{{ big }}{% endfor %}{% endset %}",
                           "{% for a in range(9999) %}{% for b in range(9999) %}more and more{% endfor %}{% endfor %}"})
    EXPECT_TRUE(
        text_of_error([&] { render(text, {{"big", Value(std::string(1 << 16, 'x'))}}); })
            .ends_with(
                ": it writes more than 64 MiB; mend the template, or give another one with chat: {template_file: "
                "...}"));
  EXPECT_NE(text_of_error([] { render("{{ 'x' * 999999999999 }}"); }).find("model: chat_template: line 1: "),
            std::string::npos);
  const std::string deep = text_of_error([] { render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"); });
  EXPECT_NE(deep.find("model: chat_template: "), std::string::npos) << deep;
}

TEST(ChatTemplates, AreReadFromTheFilesOfAFolder) {
  const testing::TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "llama"})");
  folder.write("chat_template.json", R"({"chat_template": "from json"})");
  const auto rendered = [&](ChatRequest request = {}) {
    request.now = "2026-01-31T23:59:00";
    return chat_template_from_directory(folder.path())->render(request);
  };
  EXPECT_EQ(rendered(), "from json");
  folder.write("tokenizer_config.json",
               R"({"bos_token": "<b>", "chat_template": [{"name": "default", "template": "{{ bos_token }}plain"},
                   {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ(rendered(), "<b>plain");
  EXPECT_EQ(rendered({.variables = {{"tools", Value(Value::List{})}}}), "tools");
  EXPECT_EQ(rendered({.template_name = "tool_use"}), "tools");
  EXPECT_EQ(rendered({.template_text = "own {{ bos_token }}"}), "own <b>");
  EXPECT_EQ(text_of_error([&] { rendered({.template_name = "tool"}); }).substr(0, 28), "unknown chat template 'tool'");
  folder.write("chat_template.jinja", "from jinja");
  EXPECT_EQ(rendered(), "from jinja");
}

TEST(ChatTemplates, MissingOnesSaySo) {
  const JinjaChatTemplate chat("model", {}, {}, {});
  EXPECT_EQ(text_of_error([&] { chat.render({}); }),
            "model: the checkpoint has no chat template; take the instruction-tuned checkpoint, or give a template "
            "(chat: {template_file: ...})");
}

}  // namespace
}  // namespace whence
