// What is said of whole checkpoints, and of those with several faults at once.
#include "checkpoint_examination.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "checkpoints.h"
#include "support/temporary_folder.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

std::string read_bytes(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A copy of a stored checkpoint that a test may spoil.
class Examined {
 public:
  explicit Examined(const fs::path& model) { fs::copy(model, folder_.path()); }

  const fs::path& path() const { return folder_.path(); }
  void merge_config(const nlohmann::json& changes) const {
    auto config = read_json(path() / "config.json");
    config.merge_patch(changes);
    folder_.write("config.json", config.dump());
  }
  /// Adds a tensor [count] of zeros to model.safetensors.
  void add_tensor(const std::string& name, std::size_t count) const {
    const std::string bytes = read_bytes(path() / "model.safetensors");
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    auto header = nlohmann::json::parse(bytes.substr(sizeof size, size));
    const std::size_t end = bytes.size() - sizeof size - size;
    header[name] = {{"dtype", "F32"}, {"shape", {count}}, {"data_offsets", {end, end + count * sizeof(float)}}};
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    folder_.write("model.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length) + text +
                                           bytes.substr(sizeof size + size) + std::string(count * sizeof(float), '\0'));
  }
  CheckpointReport report() const { return examine_checkpoint(request_for(path())); }
  /// The problems, with MODEL for the folder.
  Names problems() const {
    Names texts;
    for (const CheckpointProblem& problem : report().problems) {
      std::string text = problem.text;
      for (std::size_t at; (at = text.find(path().string())) != std::string::npos;)
        text.replace(at, path().string().size(), "MODEL");
      texts.push_back(text);
    }
    return texts;
  }

 private:
  testing::TemporaryFolder folder_;
};

Examined qwen3() { return Examined(own_model("qwen3")); }

TEST(Examination, FindsNothingWrongWithWholeCheckpoints) {
  std::vector<ModelRequest> requests;
  for (const char* name : kOwnModels) requests.push_back(request_for_own(name));
  for (const auto& folder : fs::directory_iterator(own_model("architectures")))
    requests.push_back(request_for(folder.path()));
  for (const ModelRequest& request : requests) {
    const CheckpointReport report = examine_checkpoint(request);
    EXPECT_EQ(report.problems.size(), 0u) << request.path << ": " << report.problems.front().text;
    EXPECT_EQ(report.unread, Names{}) << request.path;
    EXPECT_EQ(report.tensors.unused, Names{}) << request.path;
    EXPECT_EQ(report.tensors.missing, Names{}) << request.path;
    EXPECT_FALSE(report.tokenizer->kind.empty()) << request.path;
    EXPECT_EQ(report.parameters, load_model(request)->info().parameters) << request.path;
  }
}

TEST(Examination, SaysWhatACheckpointIs) {
  const CheckpointReport report = examine_checkpoint(request_for(own_model("architectures") / "qwen3_moe"));
  EXPECT_EQ(report.type_key + " " + report.type + " " + report.architecture + " " + report.class_name,
            "model_type qwen3_moe qwen3_moe Qwen3MoeForCausalLM");
  EXPECT_TRUE(report.architecture_file.ends_with("configs/architectures/qwen3_moe.yaml")) << report.architecture_file;
  const auto size = [&](const std::string& name) {
    const auto found = std::ranges::find(report.sizes, name, &CheckpointReport::Size::name);
    return found == report.sizes.end() ? -1 : found->value;
  };
  const auto config = read_json(own_model("architectures") / "qwen3_moe/config.json");
  EXPECT_EQ(size("layers"), config["num_hidden_layers"]);
  EXPECT_EQ(size("hidden"), config["hidden_size"]);
  EXPECT_EQ(size("heads"), config["num_attention_heads"]);
  EXPECT_EQ(size("key value heads"), config["num_key_value_heads"]);
  EXPECT_EQ(size("experts"), config["num_experts"]);
  EXPECT_EQ(size("inner"), config["moe_intermediate_size"]);
  EXPECT_EQ(size("vocabulary"), config["vocab_size"]);
  EXPECT_EQ(size("context"), config["max_position_embeddings"]);
  ASSERT_EQ(report.stored.size(), 1u);
  EXPECT_EQ(report.stored[0].type, "F32");
  EXPECT_EQ(report.stored[0].numbers, report.parameters);
  EXPECT_EQ(report.memory.stored, 4 * report.parameters);
  EXPECT_GT(report.memory.unpacked, report.memory.packed);
  EXPECT_GT(report.memory.packed, 0);
  EXPECT_EQ(report.tokenizer->kind + " " + report.tokenizer->source + " " + report.tokenizer->pre_tokenizer,
            "WordLevel tokenizer.json WhitespaceSplit");
  EXPECT_EQ(report.tokenizer->size, 40);
  EXPECT_EQ(report.chat_templates.size(), 0u);
}

TEST(Examination, DescribesTokenizersOfOtherFiles) {
  const auto files = [](const fs::path& path) {
    const TokenizerReport report = *examine_checkpoint(request_for(path)).tokenizer;
    return report.kind + "; " + report.source + "; " + report.pre_tokenizer;
  };
  EXPECT_EQ(files(own_model("llama_gguf") / "model.gguf"), "BPE; tokenizer.ggml.model gpt2; default");
  EXPECT_EQ(files(case_model("marian")), "SentencePiece; source.spm, target.spm, vocab.json; ");
  EXPECT_EQ(files(case_model("gpt2")), "BPE; tokenizer.json; ByteLevel");
}

TEST(Examination, TellsEverythingThatIsWrong) {
  const Examined model = qwen3();
  model.merge_config({{"hidden_act", "silo"}, {"partial_rotary_factor", 0.5}});
  model.add_tensor("model.layers.0.mlp.up_proj.bias", 12);
  std::ofstream(model.path() / "tokenizer_config.json") << R"({"added_tokens_decoder": {"64": {"content": "<one>"}}})";
  EXPECT_EQ(model.problems(),
            (Names{"MODEL/config.json: 'partial_rotary_factor': expected 1, found 0.5; architecture qwen3 is not built "
                   "for it",
                   "MODEL/config.json: 'hidden_act': unknown activation 'silo'; did you mean 'silu'? known: gelu, "
                   "gelu_new, gelu_pytorch_tanh, relu, relu2, silu, swish",
                   "MODEL: the tokenizer has 65 tokens, but vocab_size of config.json is 64; fetch the tokenizer files "
                   "and config.json of one and the same checkpoint"}));
  EXPECT_EQ(model.report().tensors.unused, Names{"model.layers.0.mlp.up_proj.bias"});
}

TEST(Examination, NamesEveryTensorThatIsMissingOrHasAnotherShape) {
  const Examined model = qwen3();
  model.merge_config({{"num_hidden_layers", 3}, {"layer_types", nullptr}, {"intermediate_size", 14}});
  const CheckpointReport report = model.report();
  EXPECT_EQ(report.tensors.missing.size(), report.tensors.used.size() / 2 - 1);
  EXPECT_EQ(report.tensors.missing.front(), "model.layers.2.input_layernorm.weight");
  const Names problems = model.problems();
  EXPECT_EQ(problems.size(), 6 + report.tensors.missing.size());
  EXPECT_EQ(problems[0], "MODEL: tensor 'model.layers.0.mlp.gate_proj.weight': expected shape [14, 8], found [12, 8]");
  EXPECT_EQ(problems[5], "MODEL: tensor 'model.layers.1.mlp.down_proj.weight': expected shape [8, 14], found [8, 12]");
  EXPECT_EQ(problems[6],
            "MODEL: no tensor 'model.layers.2.input_layernorm.weight' among the 32; the nearest is "
            "'model.layers.0.input_layernorm.weight'");
}

TEST(Examination, DoesNotJudgeTensorsBySizesThatCannotBe) {
  const Examined model = qwen3();
  model.merge_config({{"num_key_value_heads", 3}, {"rms_norm_eps", "small"}});
  EXPECT_EQ(model.problems(), (Names{"MODEL/config.json: 'rms_norm_eps': expected a number from 0 to 1e+09, found "
                                     "'small'",
                                     "MODEL/config.json: 'num_key_value_heads': expected a divisor of the 4 heads, "
                                     "found 3"}));
  model.merge_config({{"num_key_value_heads", 2}, {"rms_norm_eps", 1e-6}, {"hidden_size", nullptr}});
  EXPECT_EQ(model.problems(), Names{"MODEL/config.json: 'hidden_size': is missing; architecture qwen3 needs it"});
}

TEST(Examination, ReadsOnWhereTheArchitectureIsNotKnown) {
  const Examined model = qwen3();
  model.merge_config({{"model_type", "qwen33"}});
  const CheckpointReport report = model.report();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].text.find("unknown architecture 'qwen33'; did you mean 'qwen3'?"), std::string::npos);
  EXPECT_EQ(report.type, "qwen33");
  EXPECT_EQ(report.architecture, "");
  EXPECT_EQ(report.tokenizer->size, 64);
  EXPECT_EQ(report.stored[0].tensors, 32);
  std::ofstream(model.path() / "config.json") << "{";
  EXPECT_EQ(model.problems()[0], "MODEL/config.json: is not a JSON object");
  EXPECT_EQ(model.report().stored[0].tensors, 32);
}

TEST(Examination, PassesOverTensorsOfQuantisedLibraries) {
  const Examined model = qwen3();
  model.merge_config({{"quantization_config", {{"bits", 4}}}});
  EXPECT_EQ(model.problems(), Names{"MODEL/config.json: 'quantization_config': quantised safetensors are not "
                                    "supported; take the unquantised checkpoint or a GGUF file"});
}

TEST(Examination, TellsSettingsThatNothingReads) {
  const Examined model = qwen3();
  model.merge_config({{"attention_multiplier", 0.5}, {"attn_config", {{"softcap", 30}}}, {"hidden_dropout", 0.1}});
  EXPECT_EQ(model.report().unread, (Names{"attention_multiplier: 0.5", "attn_config.softcap: 30"}));
  EXPECT_EQ(model.problems(), Names{});
}

TEST(Examination, TellsTensorsThatHoldNothingToBeLearntFromThoseLeftOver) {
  const Examined model(own_model("architectures") / "gpt2");
  model.add_tensor("transformer.h.0.attn.bias", 4);
  model.add_tensor("transformer.h.0.attn.scale", 4);
  EXPECT_EQ(model.report().tensors.ignored, Names{"transformer.h.0.attn.bias"});
  EXPECT_EQ(model.report().tensors.unused, Names{"transformer.h.0.attn.scale"});
}

TEST(Examination, ComparesTheTokensOfGgufFilesWithTheEmbedding) {
  const testing::TemporaryFolder folder;
  std::string bytes = read_bytes(own_model("llama_gguf") / "model.gguf");
  const std::string name = "token_embd.weight";
  // Name, number of dimensions, columns, rows.
  const std::size_t rows = bytes.find(name) + name.size() + sizeof(std::uint32_t) + sizeof(std::uint64_t);
  ASSERT_EQ(bytes[rows], 64);
  bytes[rows] = 60;
  const fs::path file = folder.write("model.gguf", bytes);
  const CheckpointReport report = examine_checkpoint(request_for(file));
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].text, file.string() +
                                         ": the tokenizer has 64 tokens, but tensor 'token_embd.weight' has 60 rows; "
                                         "fetch or convert the checkpoint again");
  EXPECT_EQ(report.tokenizer->size, 64);
}

}  // namespace
}  // namespace whence::transformer
