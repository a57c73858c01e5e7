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
  EXPECT_EQ(
      error(),
      config_error("model_type",
                   "unknown architecture 'qwen33'; did you mean 'qwen3'? known: llama, mistral, qwen2, qwen3, smollm3 "
                   "(an architecture file can add one)"));
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
  EXPECT_NE(error().find("model.layers.2.self_attn.q_proj.weight"), std::string::npos) << error();
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
                                                     "gelu_new, gelu_pytorch_tanh, relu, silu, swish"));
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
                "full_attention, sliding_attention");
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
  text.replace(text.find("query_key_norm: true"), 20, "query_key_norm: false");
  request.architectures.push_back(host::parse_yaml(text, "qwen3.yaml"));
  const TransformerModel model(Checkpoint(request), request);
  const auto* report = static_cast<const CheckpointReport*>(model.query(CheckpointReport::kCapability));
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(
      report->unused_tensors,
      (std::vector<std::string>{"model.layers.0.self_attn.k_norm.weight", "model.layers.0.self_attn.q_norm.weight",
                                "model.layers.1.self_attn.k_norm.weight", "model.layers.1.self_attn.q_norm.weight"}));
  EXPECT_EQ(model.query("whence.something_else/1"), nullptr);
}

TEST(Checkpoint, ListsItsFilesWeightsFirst) {
  const auto files = load_model(own_model("llama_sharded"))->info().files;
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(fs::path(file).filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                             "model.safetensors.index.json", "config.json", "generation_config.json",
                                             "tokenizer.json", "tokenizer_config.json"}));
}

std::string architecture_error(const std::string& from, const std::string& to) {
  std::ifstream stream(WHENCE_SOURCE_DIR "/configs/architectures/llama.yaml");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text.replace(text.find(from), from.size(), to);
  return testing::text_of_error([&] { Architecture::parse(host::parse_yaml(text, "llama.yaml")); });
}

TEST(Architecture, ErrorsNameThePlaceAndTheNearestKey) {
  EXPECT_EQ(architecture_error("norm:\n  kind: rms", "norm:\n  kinds: rms"),
            "llama.yaml:20:3: unknown key 'kinds'; did you mean 'kind'? known: epsilon, kind");
  EXPECT_NE(architecture_error("{config: hidden_size, gguf", "{confg: hidden_size, gguf")
                .find("unknown key 'confg'; did you mean 'config'?"),
            std::string::npos);
  EXPECT_NE(architecture_error("mlp:\n", "mpl:\n").find("unknown key 'mpl'; did you mean 'mlp'?"), std::string::npos);
  EXPECT_NE(
      architecture_error("\"blk.{layer}.attn_q\"", "blk.0.attn_q").find("must hold '{layer}', found 'blk.0.attn_q'"),
      std::string::npos);
  EXPECT_NE(architecture_error("kind: decoder_only", "kind: decoder").find("unknown kind of model 'decoder'"),
            std::string::npos);
}

}  // namespace
}  // namespace whence::transformer
