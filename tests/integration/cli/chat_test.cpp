// Chats from the command line and from experiments, end to end.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A copy of the tiny model, which gets a chat template.
class Chat : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy(kTinyModel, model());
    folder_.write("model/chat_template.jinja",
                  "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}"
                  "{{ raise_exception('no tools here') }}{% endif %}"
                  "{{ m.role }}: {{ m.content }}\n{% endfor %}"
                  "{% if add_generation_prompt %}{{ name or 'assistant' }}:{% endif %}");
  }

  fs::path model() const { return folder_.path() / "model"; }

  Outcome attribute(std::vector<std::string> more) const {
    more.insert(more.begin(), {"attribute", "-m", model().string(), "--chat", "--json", "--quiet"});
    return whence_tool(more);
  }

  /// What an experiment with these lines stores.
  json run(const std::string& lines) const {
    const auto file = folder_.write("e.yaml", "model: model\n" + lines + "output_dir: out\n");
    const Outcome made = whence_tool({"run", file.string(), "--json"});
    EXPECT_EQ(made.status, 0) << made.err;
    const fs::path directory = json::parse(made.out).at("directory").get<std::string>();
    return json::parse(std::ifstream(directory / "results/saliency.json")).at("attributes");
  }

  TemporaryFolder folder_;
};

std::vector<int> ids(const json& sequence) {
  std::vector<int> ids;
  for (const auto& token : sequence.at("attributes").at("target")) ids.push_back(token.at("attributes").at("id"));
  return ids;
}

std::vector<std::string> texts(const json& sequence) {
  std::vector<std::string> texts;
  for (const auto& token : sequence.at("attributes").at("target")) texts.push_back(token.at("attributes").at("token"));
  return texts;
}

/// The labels as "role turn: kind".
std::vector<std::string> labels(const json& sequence) {
  std::vector<std::string> names;
  for (const auto& label : sequence.at("whence").at("target_labels"))
    names.push_back(label.at("name").get<std::string>() + " " + std::to_string(label.value("turn", -1)) + ": " +
                    label.at("kind").get<std::string>());
  return names;
}

using Texts = std::vector<std::string>;

TEST_F(Chat, OfTheCommandLineIsATurnOfTheUser) {
  const Outcome made = attribute({"-i", "It was a", "-g", "red book", "--system", "the nurse"});
  ASSERT_EQ(made.status, 0) << made.err;
  const json attributes = json::parse(made.out).at("attributes");
  const json& sequence = attributes.at("sequence_attributions")[0];
  EXPECT_EQ(labels(sequence),
            (Texts{" -1: markup", "system 0: markup", "system 0: content", "system 0: markup", "user 1: markup",
                   "user 1: content", "user 1: markup", "assistant 2: markup", "assistant 2: content"}));
  EXPECT_EQ((Texts{texts(sequence).front(), texts(sequence).back()}), (Texts{"<s>", "k"}));
  EXPECT_EQ(attributes.at("info").at("input_texts")[0], "<s> system: the nurse\nuser: It was a\nassistant: ");
}

TEST_F(Chat, OfTheCommandLineGivesVariablesToTheTemplate) {
  const Outcome made = attribute({"-i", "It was a", "--chat-template-kwargs", R"({"name": "red"})",
                                  "--generation-kwargs", R"({"max_new_tokens": 2})"});
  ASSERT_EQ(made.status, 0) << made.err;
  const json attributes = json::parse(made.out).at("attributes");
  EXPECT_EQ(attributes.at("info").at("input_texts")[0], "<s> user: It was a\nred:");
  EXPECT_EQ(attributes.at("info").at("constrained_decoding"), false);
}

TEST_F(Chat, OfAnExperimentHasTurnsThatMerge) {
  const std::string messages =
      "messages:\n"
      "  - {role: system, content: the nurse}\n"
      "  - {role: user, content: It was a}\n"
      "  - {role: assistant, content: red book}\n";
  const json whole = run(messages + "attributions: saliency\n").at("sequence_attributions")[0];
  EXPECT_EQ(labels(whole).front(), " -1: markup");
  EXPECT_EQ(labels(whole).back(), "assistant 2: content");
  // What is stored stays whole; aggregators are for what is shown.
  const Outcome made = attribute({"-i", "It was a", "-g", "red book", "--system", "the nurse",
                                  "--attribution-aggregators", "units: {unit: turn}", "scores"});
  ASSERT_EQ(made.status, 0) << made.err;
  const json turns = json::parse(made.out).at("attributes").at("sequence_attributions")[0];
  const Texts merged = texts(turns);
  EXPECT_LT(merged.size(), texts(whole).size());
  ASSERT_GE(merged.size(), 4u);
  EXPECT_EQ((Texts{merged.begin(), merged.begin() + 4}), (Texts{"<s>", "system 0", "user 1", "assistant 2"}));
}

TEST_F(Chat, IsRefusedWithTheWordsOfTheTemplate) {
  const auto file =
      folder_.write("e.yaml",
                    "model: model\nmessages:\n  - {role: user, content: a}\n  - {role: tool, content: b}\n"
                    "attributions: saliency\noutput_dir: out\n");
  const Outcome made = whence_tool({"run", file.string()});
  EXPECT_EQ(made.status, 5);
  EXPECT_NE(made.err.find("the chat template refuses the messages: no tools here"), std::string::npos) << made.err;
}

TEST_F(Chat, IsNotHeldUpByItsTemplate) {
  folder_.write("model/chat_template.jinja",
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}");
  const Outcome endless = attribute({"-i", "It was a"});
  EXPECT_EQ(endless.status, 4);
  EXPECT_NE(endless.err.find("chat_template.jinja: line 1: it does not come to an end; mend the template"),
            std::string::npos)
      << endless.err;
}

TEST_F(Chat, HoldsSpecialTokensOnlyWhereAllowed) {
  const Outcome made = attribute({"-i", "It was </s> a"});
  EXPECT_EQ(made.status, 5);
  EXPECT_NE(made.err.find("messages[0].content holds '</s>', which the tokenizer would read as a special token"),
            std::string::npos)
      << made.err;
}

TEST_F(Chat, NeedsATemplate) {
  fs::remove(model() / "chat_template.jinja");
  const Outcome made = attribute({"-i", "It was a"});
  EXPECT_EQ(made.status, 4);
  EXPECT_NE(made.err.find("the checkpoint has no chat template; take the instruction-tuned checkpoint, or give a "
                          "template (chat: {template_file: ...})"),
            std::string::npos)
      << made.err;
}

TEST(ChatModels, AreDecoderOnly) {
  const Outcome made = whence_tool(
      {"attribute", "-m", WHENCE_TEST_DATA "/models/architectures/t5", "--chat", "-i", "w7 w12", "--quiet"});
  EXPECT_EQ(made.status, 2);
  EXPECT_NE(made.err.find("model 't5' has a source and takes no chat; give the text without --chat (messages, system, "
                          "chat), or take a decoder-only model"),
            std::string::npos)
      << made.err;
}

TEST(ChatModels, ReadTheIdsOfTheReference) {
  const json cases = json::parse(std::ifstream(WHENCE_TEST_DATA "/chat/ids.json"));
  std::string inputs;
  std::vector<std::vector<int>> expected;
  for (const auto& test : cases) {
    const auto& variables = test.at("variables");
    if (test.at("tokenizer") != "smollm2" || variables.contains("extra") ||
        !variables.at("add_generation_prompt").get<bool>() || !variables.at("tools").is_null())
      continue;
    inputs += "  - {messages: " + variables.at("messages").dump() + "}\n";
    expected.push_back(test.at("ids"));
  }
  ASSERT_GE(expected.size(), 4u);
  const TemporaryFolder folder;
  const auto file =
      folder.write("e.yaml", "model: " WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf\ninputs:\n" + inputs +
                                 "generation: {max_new_tokens: 1}\nattributions: saliency\noutput_dir: out\n");
  const Outcome made = whence_tool({"run", file.string(), "--json"});
  ASSERT_EQ(made.status, 0) << made.err;
  const fs::path directory = json::parse(made.out).at("directory").get<std::string>();
  const json sequences =
      json::parse(std::ifstream(directory / "results/saliency.json")).at("attributes").at("sequence_attributions");
  ASSERT_EQ(sequences.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(i);
    std::vector<int> prompt = ids(sequences[i]);
    prompt.pop_back();  // the token that was generated
    EXPECT_EQ(prompt, expected[i]);
  }
}

}  // namespace
