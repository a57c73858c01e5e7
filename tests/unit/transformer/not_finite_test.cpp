// Numbers that are not finite are found where they come from.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "checkpoints.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const char* const kMend = " are not finite numbers; look for damaged weights or inputs that are too large";

/// A stored checkpoint of float32 with one number of a tensor replaced.
class Damaged {
 public:
  Damaged(const std::string& model, const std::string& tensor, float number) {
    fs::copy(own_model(model), folder_.path());
    const fs::path file = folder_.path() / "model.safetensors";
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    std::uint64_t size = 0;
    stream.read(reinterpret_cast<char*>(&size), sizeof size);
    std::string header(size, ' ');
    stream.read(header.data(), static_cast<std::streamsize>(size));
    const auto entry = nlohmann::json::parse(header).at(tensor);
    if (entry["dtype"] != "F32") throw std::runtime_error("expected a tensor of float32");
    const auto first = entry["data_offsets"][0].get<std::uint64_t>();
    stream.seekp(static_cast<std::streamoff>(sizeof size + size + first + 3 * sizeof number));
    stream.write(reinterpret_cast<const char*>(&number), sizeof number);
  }

  const fs::path& path() const { return folder_.path(); }

 private:
  testing::TemporaryFolder folder_;
};

const TokenIds kText = {1, 17, 5, 40, 33, 8, 21, 60, 12};

std::string error_of(const Model& model, const Inputs& inputs = {pad({kText})}) {
  return testing::text_of_error<ModelError>([&] { model.forward(inputs, {positions({{8}})}); });
}

void zero_values(const Model& model, const Inputs& inputs) {
  const auto* zeroing = static_cast<const ValueZeroing*>(model.query(ValueZeroing::kCapability));
  zeroing->zero_values(inputs, {.target = {positions({{8}}), {}}}, [](const ValueZeroing::Row&) {});
}

struct Part {
  const char* model;
  const char* tensor;
};

class DamagedWeights : public ::testing::TestWithParam<Part> {};

TEST_P(DamagedWeights, NameTheirLayer) {
  for (const int layer : {0, 1})
    for (const float number : {testing::kNan, kInfinity}) {
      const std::string name = "model.layers." + std::to_string(layer) + "." + GetParam().tensor;
      const Damaged damaged(GetParam().model, name, number);
      const std::string expected = "layer " + std::to_string(layer) + ": hidden states" + kMend;
      for (const auto& [dtype, weights] : {std::pair{"float32", "unpacked"}, {"bfloat16", "packed"}}) {
        SCOPED_TRACE(::testing::Message() << name << " is " << number << ", " << dtype << ", " << weights);
        ModelRequest request = request_for(damaged.path());
        request.weights = weights;
        request.dtype = dtype;
        const auto model = load_model(request);
        EXPECT_EQ(error_of(*model), expected);
        EXPECT_EQ(testing::text_of_error<ModelError>([&] { model->generate({pad({kText})}, {}); }), expected);
        EXPECT_EQ(testing::text_of_error<ModelError>([&] { zero_values(*model, {pad({kText})}); }), expected);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Tensors, DamagedWeights,
    ::testing::Values(Part{"llama_bias", "input_layernorm.weight"}, Part{"llama_bias", "self_attn.q_proj.weight"},
                      Part{"llama_bias", "self_attn.k_proj.bias"}, Part{"llama_bias", "self_attn.v_proj.weight"},
                      Part{"llama_bias", "self_attn.o_proj.weight"},
                      Part{"llama_bias", "post_attention_layernorm.weight"}, Part{"llama_bias", "mlp.gate_proj.weight"},
                      Part{"llama_bias", "mlp.up_proj.bias"}, Part{"llama_bias", "mlp.down_proj.weight"},
                      Part{"qwen3", "self_attn.q_norm.weight"}),
    [](const auto& info) {
      std::string name = std::string(info.param.model) + "_" + info.param.tensor;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST(DamagedHead, IsNamed) {
  for (const char* tensor : {"lm_head.weight", "model.norm.weight"}) {
    const Damaged damaged("mistral_window", tensor, testing::kNan);
    const auto model = load_model(damaged.path());
    const std::string expected = std::string("head: logits") + kMend;
    EXPECT_EQ(error_of(*model), expected) << tensor;
    EXPECT_EQ(testing::text_of_error<ModelError>([&] { model->generate({pad({kText})}, {}); }), expected) << tensor;
  }
}

TEST(InputsThatAreNotFinite, AreNamed) {
  const auto model = load_model(own_model("qwen3"));
  Inputs inputs{pad({kText})};
  for (const float number : {testing::kNan, kInfinity, -kInfinity}) {
    inputs.target_embeddings = model->embed(inputs.target.ids, Side::target);
    inputs.target_embeddings[0][4][2].fill_(number);
    const std::string expected = std::string("input embeddings") + kMend;
    EXPECT_EQ(error_of(*model, inputs), expected) << number;
    EXPECT_EQ(testing::text_of_error<ModelError>([&] { zero_values(*model, inputs); }), expected) << number;
  }
  // The number is one of token 0; the head of this model has its own weights.
  const Damaged damaged("mistral_window", "model.embed_tokens.weight", testing::kNan);
  const auto spoilt = load_model(damaged.path());
  EXPECT_EQ(error_of(*spoilt), "nothing was thrown");
  EXPECT_EQ(error_of(*spoilt, {pad({TokenIds(9, 0)})}), std::string("input embeddings") + kMend);
}

}  // namespace
}  // namespace whence::transformer
