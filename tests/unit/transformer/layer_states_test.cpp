// Passes that begin with the states of a layer, and gradients there.
#include <gtest/gtest.h>

#include <limits>

#include "checkpoints.h"
#include "random_decoder.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}};
const std::vector<TokenIds> kSources = {{4, 9, 3, 22, 30}, {12, 6, 41, 7, 18, 25, 2}};
const std::vector<std::vector<std::int64_t>> kAsked = {{3, 8, 5}, {0, 5, -1}};

std::string test_name(const ::testing::TestParamInfo<const char*>& info) { return info.param; }

class LayerStatesTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load(GetParam());
  RandomTensors random{at::kFloat};
  Inputs inputs{pad(kTexts), encodes() ? pad(kSources) : PaddedIds{}};
  Tensor cotangents = random({2, 3, model->info().vocabulary});
  ForwardRequest request{positions(kAsked), false, false, /*trace=*/true};

  static std::unique_ptr<Model> load(const std::string& name) {
    const bool own = std::filesystem::exists(own_model(name));
    return load_model(own ? request_for_own(name) : request_for(case_model(name)));
  }

  bool encodes() const { return model->info().kind == ModelKind::encoder_decoder; }
  std::int64_t layers(Side side) const {
    return side == Side::source ? model->info().encoder_layers : model->info().layers;
  }
  /// Every place between blocks.
  std::vector<LayerSite> sites() const {
    std::vector<LayerSite> sites;
    for (const Side side : {Side::source, Side::target})
      for (std::int64_t block = 0; (side == Side::target || encodes()) && block <= layers(side); ++block)
        sites.push_back({side, block});
    return sites;
  }

  static Inputs beginning(Inputs inputs, const LayerSite& site, const Tensor& states) {
    (site.stack == Side::source ? inputs.source_states : inputs.target_states) = {site.block, states};
    return inputs;
  }

  Gradients gradients(const Forward& forward, const std::vector<LayerSite>& sites, bool embeddings = false) const {
    PullBackRequest request;
    request.target = embeddings;
    request.source = embeddings && encodes();
    request.layers = sites;
    return model->pull_back(forward, {cotangents}, request);
  }
};

TEST_P(LayerStatesTest, ThatAPassCapturesLeadWhereTheyLedBefore) {
  request.sites = sites();
  const Forward whole = model->forward(inputs, request);
  ASSERT_EQ(whole.states.size(), request.sites.size());
  const Gradients expected = gradients(whole, request.sites, /*embeddings=*/true);
  for (std::size_t i = 0; i < request.sites.size(); ++i) {
    const LayerSite site = request.sites[i];
    SCOPED_TRACE(::testing::Message() << (site.stack == Side::source ? "encoder " : "decoder ") << site.block);
    const Forward begun =
        model->forward(beginning(inputs, site, whole.states[i]), {positions(kAsked), false, false, /*trace=*/true});
    EXPECT_TRUE(testing::near(begun.logits, whole.logits, 0, 0));
    // A sweep that ends at the layer gives what one through all layers gives on its way.
    EXPECT_TRUE(testing::near(gradients(whole, {site}).layers[0], expected.layers[i], 0, 0));
    EXPECT_TRUE(testing::near(gradients(begun, {site}).layers[0], expected.layers[i], 0, 0));
  }
}

TEST_P(LayerStatesTest, OfBothStacksAreIndependent) {
  if (!encodes()) GTEST_SKIP() << "one stack";
  const std::vector<LayerSite> both = {{Side::target, 1}, {Side::source, 1}};
  request.sites = both;
  const Forward whole = model->forward(inputs, request);
  const Gradients got = gradients(whole, both);
  const double step = 2e-3;
  for (std::size_t i = 0; i < both.size(); ++i) {
    const Tensor direction = random(whole.states[i].sizes());
    const auto score = [&](double scale) {
      Inputs moved = beginning(inputs, both[1 - i], whole.states[1 - i]);
      moved = beginning(moved, both[i], whole.states[i] + scale * direction);
      const Tensor logits = model->forward(moved, {positions(kAsked)}).logits;
      return (logits.to(at::kDouble) * cotangents).sum(-1);
    };
    const Tensor expected = (score(step) - score(-step)) / (2 * step);
    const Tensor along = (got.layers[i] * direction.unsqueeze(2)).sum({1, 3}).to(at::kDouble);
    // Differences of float scores are off by their rounding, whatever becomes of it.
    EXPECT_TRUE(testing::near(along, expected, 1e-2, 1e-3 * expected.abs().max().item<double>())) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LayerStatesTest,
                         ::testing::Values("qwen3", "mistral_window", "gpt2_gguf", "gemma2_gguf", "olmo2_gguf",
                                           "mpt_gguf", "stablelm_parallel_gguf", "mixtral_gguf", "t5", "bart",
                                           "marian"),
                         test_name);

TEST(LayerStatesThatCannotBe, AreRefused) {
  const auto model = load_model(own_model("qwen3"));
  const Inputs plain{pad({kTexts[0]})};
  ForwardRequest request{positions({{3, 8}}), false, false, /*trace=*/true};
  request.sites = {{Side::target, 1}};
  const Tensor states = model->forward(plain, request).states[0];
  const auto error = [&](std::int64_t block, const ForwardRequest& asked, const Tensor& given) {
    Inputs inputs = plain;
    inputs.target_states = {block, given};
    return testing::text_of_error([&] { model->forward(inputs, asked); });
  };
  EXPECT_EQ(error(3, {positions({{3, 8}})}, states),
            "layer 3 is not in the model; expected 0 to 2, where 2 is the input of the final norm");
  EXPECT_EQ(error(1, {positions({{3, 8}})}, states.narrow(2, 0, 3)), "expected states [B,L,D] that fit the ids");
  EXPECT_EQ(error(1, {positions({{3, 8}}), /*attentions=*/true}, states),
            "a pass that begins with states has neither other captures nor prefixes");
  EXPECT_EQ(error(2, request, states), "a pass has no states before the block that it begins at");
  EXPECT_EQ(error(1, {positions({{3, 8}})}, states * std::numeric_limits<float>::infinity()),
            "layer 1: given states are not finite numbers; look for damaged weights or inputs that are too large");

  Inputs begun = plain;
  begun.target_states = {1, states};
  const Forward forward = model->forward(begun, {positions({{3, 8}}), false, false, /*trace=*/true});
  PullBackRequest all;
  EXPECT_EQ(testing::text_of_error([&] { model->pull_back(forward, {forward.logits}, all); }),
            "a pass that begins at layer 1 has no gradients before it");
}

TEST(GradientsThatAreNotFinite, NameTheirLayer) {
  const auto model = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad({kTexts[0]})}, {positions({{3, 8}}), false, false, /*trace=*/true});
  const auto error = [&](const Tensor& cotangents, double factor) {
    PullBackRequest request;
    request.rules = {{"attention_product", "scaled", factor}};
    return testing::text_of_error<ModelError>([&] { model->pull_back(forward, {cotangents}, request); });
  };
  const std::string mend = " are not finite numbers; look for damaged weights or inputs that are too large";
  EXPECT_EQ(error(forward.logits, 1e36), "layer 1: gradients of hidden states" + mend);
  EXPECT_EQ(error(forward.logits * testing::kNan, 1), "head: gradients of hidden states" + mend);
}

TEST(ModelInfoOfCheckpoints, NamesModulesAndActivations) {
  const auto llama = load_model(own_model("qwen3")), t5 = load_model(case_model("t5"));
  EXPECT_EQ(llama->info().activations, std::vector<std::string>{"silu"});
  EXPECT_TRUE(llama->info().gated);
  EXPECT_EQ(llama->info().encoder_layers, 0);
  const auto has = [](const std::vector<std::string>& names, const char* name) {
    return std::ranges::find(names, name) != names.end();
  };
  EXPECT_TRUE(has(llama->info().modules.decoder_blocks, "model.layers"));
  EXPECT_TRUE(has(llama->info().modules.embeddings, "model.embed_tokens"));
  EXPECT_TRUE(llama->info().modules.encoder_blocks.empty());
  EXPECT_TRUE(has(t5->info().modules.encoder_blocks, "encoder.block"));
  EXPECT_TRUE(has(t5->info().modules.decoder_blocks, "decoder.block"));
  EXPECT_TRUE(has(t5->info().modules.embeddings, "shared"));
  EXPECT_FALSE(has(t5->info().modules.decoder_blocks, "encoder.block"));
}

}  // namespace
}  // namespace whence::transformer
