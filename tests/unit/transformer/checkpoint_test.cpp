// Checkpoints and architecture files that cannot be used, each with its message.
#include "checkpoint.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"
#include "whence/checkpoint_report.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;

/// A copy of one of the stored checkpoints that a test may spoil.
class BadCheckpoint : public ::testing::Test {
 protected:
  BadCheckpoint() { fs::copy(own_model("qwen3"), folder_); }

  template <class Change>
  void change_config(Change change) {
    auto config = read_json(folder_ / "config.json");
    change(config);
    std::ofstream(folder_ / "config.json") << config;
  }
  std::string error() const {
    return testing::text_of_error([&] { load_model(folder_); });
  }
  std::string config_error(const std::string& key, const std::string& text) const {
    return (folder_ / "config.json").string() + ": '" + key + "': " + text;
  }

 private:
  testing::TemporaryFolder made_;

 protected:
  const fs::path& folder_ = made_.path();
};

TEST_F(BadCheckpoint, IsWholeBeforeItIsSpoilt) { EXPECT_EQ(error(), "nothing was thrown"); }

TEST_F(BadCheckpoint, NoConfig) {
  fs::remove(folder_ / "config.json");
  EXPECT_EQ(error(), folder_.string() +
                         ": no config.json in this folder; expected the folder of a Hugging Face checkpoint, or the "
                         "path of a .gguf file");
  std::ofstream(folder_ / "some.gguf") << "GGUF";
  EXPECT_EQ(error(), folder_.string() + ": no config.json in this folder; give the path of some.gguf itself");
}

TEST_F(BadCheckpoint, NothingThere) {
  EXPECT_EQ(testing::text_of_error([&] { load_model(folder_ / "missing"); }),
            (folder_ / "missing").string() + ": no such file or folder");
  EXPECT_EQ(
      testing::text_of_error([&] { load_model(folder_ / "tokenizer.json"); }),
      (folder_ / "tokenizer.json").string() + ": expected a GGUF file, or the folder of a Hugging Face checkpoint");
}

TEST_F(BadCheckpoint, BrokenConfig) {
  std::ofstream(folder_ / "config.json") << "{\"model_type\": ";
  EXPECT_EQ(error(), (folder_ / "config.json").string() + ": is not a JSON object");
}

TEST_F(BadCheckpoint, UnknownArchitecture) {
  change_config([](auto& config) { config["model_type"] = "qwen33"; });
  const std::string text = error();
  const auto expected_start =
      config_error("model_type", "unknown architecture 'qwen33'; did you mean 'qwen3'? known: RefinedWeb, ");
  EXPECT_TRUE(text.starts_with(expected_start)) << text;
  EXPECT_TRUE(text.ends_with("umt5, xglm (an architecture file can add one)")) << text;
  EXPECT_FALSE(find_architecture(request_for(folder_)).has_value());
  change_config([](auto& config) {
    config.erase("model_type");
    config.erase("architectures");
  });
  EXPECT_EQ(error(), (folder_ / "config.json").string() +
                         ": expected 'model_type', which says how the model is built; it is missing");
}

TEST_F(BadCheckpoint, ClassNameServesWithoutModelType) {
  change_config([](auto& config) { config.erase("model_type"); });
  EXPECT_EQ(find_architecture(request_for(folder_))->name, "qwen3");
}

TEST_F(BadCheckpoint, MissingTensor) {
  change_config([](auto& config) {
    config["num_hidden_layers"] = 3;
    config.erase("layer_types");
  });
  EXPECT_EQ(error(), folder_.string() +
                         ": no tensor 'model.layers.2.input_layernorm.weight' among the 32; the nearest is "
                         "'model.layers.0.input_layernorm.weight'");
}

TEST_F(BadCheckpoint, TensorOfAnotherShape) {
  change_config([](auto& config) { config["intermediate_size"] = 14; });
  EXPECT_EQ(error(),
            folder_.string() + ": tensor 'model.layers.0.mlp.gate_proj.weight': expected shape [14, 8], found [12, 8]");
}

TEST_F(BadCheckpoint, SettingsThatAreNotSupported) {
  const auto with = [&](const char* key, const nlohmann::json& value) {
    const auto kept = read_json(folder_ / "config.json");
    change_config([&](auto& config) { config[key] = value; });
    const std::string text = error();
    std::ofstream(folder_ / "config.json") << kept;
    return text;
  };
  EXPECT_EQ(with("hidden_act", "silo"), config_error("hidden_act",
                                                     "unknown activation 'silo'; did you mean 'silu'? known: gelu, "
                                                     "gelu_new, gelu_pytorch_tanh, relu, relu2, silu, swish"));
  EXPECT_EQ(
      with("rope_scaling", {{"rope_type", "dynamite"}, {"factor", 2.0}}),
      config_error("rope_scaling", "").substr(0, config_error("rope_scaling", "").size() - 2) +
          ", 'rope_type': unknown rotary scaling 'dynamite'; did you mean 'dynamic'? known: default, dynamic, linear, "
          "llama3, longrope, none, su, yarn");
  EXPECT_NE(with("rope_scaling", {{"rope_type", "linear"}}).find("'rope_scaling', 'factor': is missing"),
            std::string::npos);
  EXPECT_NE(with("rope_scaling", {{"rope_type", "linear"}, {"factor", 2}, {"factr", 3}})
                .find("unknown setting 'factr'; did you mean 'factor'?"),
            std::string::npos);
  EXPECT_EQ(with("hidden_size", "8"), config_error("hidden_size", "expected an integer from 1 to 16777216, found '8'"));
  EXPECT_EQ(with("num_hidden_layers", -1),
            config_error("num_hidden_layers", "expected an integer from 1 to 4096, found -1"));
  EXPECT_EQ(with("num_key_value_heads", 3),
            config_error("num_key_value_heads", "expected a divisor of the 4 heads, found 3"));
  EXPECT_EQ(with("layer_types", {"full_attention", "chunked_attention"}),
            config_error("layer_types", "").substr(0, config_error("layer_types", "").size() - 2) +
                ", entry 1: unknown kind of attention 'chunked_attention'; did you mean 'full_attention'? known: "
                "full_attention, global, local, sliding_attention");
  EXPECT_EQ(with("partial_rotary_factor", 0.5),
            config_error("partial_rotary_factor", "expected 1, found 0.5; architecture qwen3 is not built for it"));
  EXPECT_EQ(with("quantization_config", {{"bits", 4}}),
            config_error("quantization_config",
                         "quantised safetensors are not supported; take the unquantised checkpoint or a GGUF file"));
  change_config([](auto& config) { config.erase("hidden_size"); });
  EXPECT_EQ(error(), config_error("hidden_size", "is missing; architecture qwen3 needs it"));
}

TEST_F(BadCheckpoint, DtypeThatIsNotSupported) {
  ModelRequest request = request_for(folder_);
  request.dtype = "float16";
  EXPECT_EQ(testing::text_of_error([&] { load_model(request); }),
            folder_.string() + ": dtype 'float16' is not supported; supported: float32, mixed, bfloat16");
  request.dtype = "float32";
  request.weights = "small";
  EXPECT_EQ(testing::text_of_error([&] { load_model(request); }),
            folder_.string() + ": way to hold weights 'small' is not supported; supported: auto, unpacked, packed");
}

TEST(Checkpoint, ReportsTensorsThatNobodyUses) {
  // Without the option of a query norm its tensors are left over.
  ModelRequest request;
  request.path = own_model("qwen3").string();
  std::ifstream stream(WHENCE_SOURCE_DIR "/configs/architectures/qwen3.yaml");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text.replace(text.find("query_key_norm: each"), 20, "query_key_norm: none");
  request.architectures.push_back(host::parse_yaml(text, "qwen3.yaml"));
  const TransformerModel model(Checkpoint(request), request);
  const auto* use = static_cast<const TensorUse*>(model.query(TensorUse::kCapability));
  ASSERT_NE(use, nullptr);
  EXPECT_EQ(use->unused, (std::vector<std::string>{
                             "model.layers.0.self_attn.k_norm.weight", "model.layers.0.self_attn.q_norm.weight",
                             "model.layers.1.self_attn.k_norm.weight", "model.layers.1.self_attn.q_norm.weight"}));
  EXPECT_EQ(model.query("whence.something_else/1"), nullptr);
}

TEST(Checkpoint, IsMadeByTheFilesThatNameItAlone) {
  ModelRequest request = request_for(own_model("qwen3"));
  const auto with = [&](const std::string& type) {
    ModelRequest more = request;
    more.architectures.insert(more.architectures.begin(),
                              host::parse_yaml("model_types: [" + type + "]\nnme: wrong", "wrong.yaml"));
    return testing::text_of_error([&] { load_model(more); });
  };
  EXPECT_EQ(with("other"), "nothing was thrown");
  EXPECT_NE(with("qwen3").find("wrong.yaml:2:1: unknown key 'nme'; did you mean 'name'?"), std::string::npos);
}

TEST(Checkpoint, ListsItsFilesWeightsFirst) {
  const auto files = load_model(own_model("llama_sharded"))->info().files;
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(fs::path(file).filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                             "model.safetensors.index.json", "config.json", "generation_config.json",
                                             "tokenizer.json", "tokenizer_config.json"}));
}

TEST_F(BadCheckpoint, TokenizerIsLargerThanTheVocabulary) {
  std::ofstream(folder_ / "tokenizer_config.json") << R"({"added_tokens_decoder": {"64": {"content": "<one>"},
                                                                                  "65": {"content": "<more>"}}})";
  EXPECT_EQ(error(), folder_.string() +
                         ": the tokenizer has 66 tokens, but vocab_size of config.json is 64; fetch the tokenizer "
                         "files and config.json of one and the same checkpoint");
}

TEST_F(BadCheckpoint, SpecialTokensWithoutARowAreRefusedInTextsAlone) {
  std::ofstream(folder_ / "tokenizer_config.json")
      << R"({"added_tokens_decoder": {"64": {"content": "[PAD]", "special": true}}, "pad_token": "[PAD]"})";
  const auto model = load_model(folder_);
  EXPECT_EQ(model->tokenizer().special_ids().pad, 64);
  const TokenIds plain = model->tokenizer().encode("a").ids, padded = model->tokenizer().encode("a[PAD]").ids;
  EXPECT_EQ(padded.back(), 64);
  const auto forward = [&](const TokenIds& text) {
    return testing::text_of_error<InputError>([&] { model->forward({pad({text})}, {positions({{0}})}); });
  };
  EXPECT_EQ(forward(plain), "nothing was thrown");
  EXPECT_EQ(forward(padded), "token id 64 is outside the vocabulary; expected 0 to 63");
}

std::string architecture_error(const std::string& from, const std::string& to) {
  std::ifstream stream(WHENCE_SOURCE_DIR "/configs/architectures/llama.yaml");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text.replace(text.find(from), from.size(), to);
  return testing::text_of_error([&] { Architecture::parse(host::parse_yaml(text, "llama.yaml")); });
}

TEST(Architecture, ErrorsNameThePlaceAndTheNearestKey) {
  EXPECT_EQ(architecture_error("norm:\n  kind: rms", "norm:\n  kinds: rms"),
            "llama.yaml:20:3: unknown key 'kinds'; did you mean 'kind'? known: bias, epsilon, final, gain, kind");
  EXPECT_NE(architecture_error("{config: hidden_size, gguf", "{confg: hidden_size, gguf")
                .find("unknown key 'confg'; did you mean 'config'?"),
            std::string::npos);
  EXPECT_NE(architecture_error("mlp:\n", "mpl:\n").find("unknown key 'mpl'; did you mean 'mlp'?"), std::string::npos);
  EXPECT_NE(
      architecture_error("\"blk.{layer}.attn_q\"", "blk.0.attn_q").find("must hold '{layer}', found 'blk.0.attn_q'"),
      std::string::npos);
  EXPECT_NE(architecture_error("kind: decoder_only", "kind: decoder").find("unknown kind of model 'decoder'"),
            std::string::npos);
  EXPECT_NE(architecture_error("      query:", "      qery:").find("unknown key 'qery'; did you mean 'query'?"),
            std::string::npos);
  EXPECT_NE(
      architecture_error("interleaved_rotary: true", "layout: groups")
          .find("unknown layout of a fused projection 'groups'; did you mean 'grouped'? known: four_qvk, grouped, "
                "stacked"),
      std::string::npos);
  EXPECT_NE(architecture_error("interleaved_rotary: true", "transposed: [dwn]")
                .find("unknown role of a weight 'dwn'; did you mean 'down'?"),
            std::string::npos);
  EXPECT_NE(architecture_error("weights:\n", "encoder: {}\nweights:\n").find("unknown key 'encoder'"),
            std::string::npos);
}

/// A stored checkpoint of one of the architectures with another configuration; the text of the error.
std::string error_with(const std::string& name, const nlohmann::json& changes) {
  const testing::TemporaryFolder folder;
  fs::copy(own_model("architectures") / name, folder.path());
  auto config = read_json(folder.path() / "config.json");
  config.merge_patch(changes);
  std::ofstream(folder.path() / "config.json") << config;
  std::string text = testing::text_of_error([&] { load_model(folder.path()); });
  for (std::size_t at; (at = text.find(folder.path().string())) != std::string::npos;)
    text.replace(at, folder.path().string().size(), "MODEL");
  return text;
}

TEST(ArchitectureFiles, RefuseWhatTheyAreNotBuiltFor) {
  EXPECT_EQ(error_with("mpt", {{"attn_config", {{"qk_ln", true}}}}),
            "MODEL/config.json: 'attn_config.qk_ln': expected false, found true; architecture mpt is not built for it");
  EXPECT_EQ(error_with("gemma3_text", {{"use_bidirectional_attention", true}}),
            "MODEL/config.json: 'use_bidirectional_attention': expected false, found true; architecture gemma3 is not "
            "built for it");
  EXPECT_EQ(error_with("granitemoe", {{"position_embedding_type", "nope"}}),
            "MODEL/config.json: 'position_embedding_type': expected 'rope', found 'nope'; architecture granitemoe is "
            "not built for it");
  EXPECT_EQ(error_with("falcon", {{"alibi", "yes"}}),
            "MODEL/config.json: 'alibi': unknown value 'yes'; known: false, true");
  EXPECT_EQ(error_with("gpt_neox", {{"rotary_pct", 0.4}}),
            "MODEL/config.json: 'rotary_pct': expected an even number of turned channels, found 3");
  EXPECT_EQ(error_with("mixtral", {{"num_experts_per_tok", 9}}),
            "MODEL/config.json: 'num_experts_per_tok': expected an integer from 1 to 4, found 9");
}

TEST(ArchitectureFiles, ReadKindsOfLayersThatAreRepeated) {
  const auto error = [](const nlohmann::json& types) {
    return error_with("gpt_neo", {{"attention_layers", nullptr}, {"attention_types", types}});
  };
  EXPECT_EQ(error(nlohmann::json::parse(R"([[["global"], 1], [["local"], 2]])")), "nothing was thrown");
  EXPECT_EQ(error(nlohmann::json::parse(R"([[["global", "local"], 2]])")),
            "MODEL/config.json: 'attention_types': expected a list with one entry for each of the 3 layers");
}

TEST(ArchitectureFiles, NameTensorsOfAnotherShape) {
  EXPECT_EQ(error_with("gpt2", {{"n_positions", 25}}),
            "MODEL: tensor 'transformer.wpe.weight': expected shape [25, 32], found [24, 32]");
  EXPECT_EQ(error_with("gpt2", {{"n_inner", 20}}),
            "MODEL: tensor 'transformer.h.0.mlp.c_fc.weight': expected shape [32, 20], found [32, 16]");
  EXPECT_EQ(
      error_with("granitemoe", {{"num_local_experts", 3}}),
      "MODEL: tensor 'model.layers.0.block_sparse_moe.router.layer.weight': expected shape [3, 32], found [4, 32]");
  EXPECT_TRUE(error_with("bart", {{"encoder_layers", 3}})
                  .starts_with("MODEL: no tensor 'model.encoder.layers.2.self_attn_layer_norm.weight' among the "));
}

}  // namespace
}  // namespace whence::transformer
