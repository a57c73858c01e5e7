// Every architecture against transformers, on the checkpoints of tools/fixtures/make_architectures.py.
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "architecture_cases.h"
#include "relative_error.h"
#include "support/plugins.h"
#include "whence/error.h"
#include "whence/problem.h"

namespace whence::transformer {
namespace {

constexpr double kLogits = 2e-5, kGradients = 1e-5, kAttributions = 1e-4;

class Architectures : public ::testing::TestWithParam<const char*> {
 protected:
  ArchitectureCase stored{GetParam()};
  std::unique_ptr<Model> model = load_model(stored.folder());
  std::vector<TokenIds> texts = stored.texts();
  Tensor logits = stored["logits"];

  /// The stored logits of one text.
  Tensor logits_of(std::size_t text) const {
    return logits[static_cast<std::int64_t>(text)].narrow(0, 0, std::ssize(texts[text]));
  }

  TokenIds continuation(const GenerationConfig& config) const {
    return model->generate({pad({stored.tokens("prompt")})}, config).ids.at(0);
  }

  /// Attributions [L,T,...] of the last tokens of the first text.
  Tensor attribution(const char* method, Value::Map params = {}) const {
    const auto score = testing::built_plugins().make_step_function(testing::choice("probability"));
    Sequence sequence;
    sequence.id = GetParam();
    for (const std::int64_t id : texts[0]) sequence.target.push_back({std::to_string(id), id});
    const std::int64_t end = std::ssize(texts[0]);
    sequence.steps = {end - stored["saliency"].size(1), end};
    const Problem problem(*model, *score, {sequence}, {});
    return testing::built_plugins()
        .make_method(testing::choice(method, std::move(params)))
        ->attribute(problem)
        .target[0];
  }
};

TEST_P(Architectures, GivesTheLogitsOfTheReference) {
  double worst = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Tensor all = at::arange(std::ssize(texts[i])).unsqueeze(0);
    worst = std::max(worst, deviation(model->forward({pad({texts[i]})}, {all}).logits[0], logits_of(i)));
  }
  expect_deviation("logits", worst, kLogits);
}

TEST_P(Architectures, PaddingChangesNothing) {
  std::vector<std::vector<std::int64_t>> asked;
  for (const TokenIds& text : texts) asked.push_back({0, std::ssize(text) / 2, std::ssize(text) - 1});
  const Tensor got = model->forward({pad(texts)}, {positions(asked)}).logits;
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_LE(deviation(got[static_cast<std::int64_t>(i)], logits_of(i).index_select(0, positions({asked[i]})[0])),
              kLogits)
        << "text " << i;
}

TEST_P(Architectures, GeneratesTheGreedyTextOfTheReference) {
  GenerationConfig config;
  config.max_new_tokens = stored.ids("greedy").numel();
  config.eos = TokenIds{};
  EXPECT_EQ(continuation(config), stored.tokens("greedy"));
}

TEST_P(Architectures, PullsBackWhatAutogradDoes) {
  const Tensor asked = stored.ids("positions").unsqueeze(0), cotangents = stored["cotangents"].unsqueeze(0);
  const Forward forward = model->forward({pad({texts[0]})}, {asked, false, false, /*trace=*/true});
  expect_deviation("gradients",
                   step_deviation(model->pull_back(forward, {cotangents}, {}).target[0], stored["gradients"]),
                   kGradients);
}

TEST_P(Architectures, PullsBackTheSameInChunksOfAPaddedBatch) {
  const Tensor asked = stored.ids("positions").unsqueeze(0), cotangents = stored["cotangents"].unsqueeze(0);
  const Tensor nothing = at::full_like(asked, -1);
  const Forward forward = model->forward({pad({texts[2], texts[0], texts[1]})},
                                         {at::cat({nothing, asked, nothing}), false, false, /*trace=*/true});
  std::vector<Tensor> steps;
  for (std::int64_t t = 0; t < asked.size(1); ++t) {
    const Tensor one = cotangents.narrow(1, t, 1);
    steps.push_back(model->pull_back(forward, {at::cat({one, one, one}), t}, {}).target[1]);
  }
  const Tensor got = at::cat(steps, 1), expected = stored["gradients"];
  EXPECT_LE(step_deviation(got.narrow(0, 0, expected.size(0)), expected), kGradients);
  EXPECT_EQ(got.narrow(0, expected.size(0), got.size(0) - expected.size(0)).abs().max().item<double>(), 0);
}

TEST_P(Architectures, ExplainsTokensAsTheReferenceDoes) {
  const Tensor saliency = at::linalg_vector_norm(attribution("saliency"), 2, -1);
  const std::int64_t rows = saliency.size(0);  // texts end before their last explained token
  expect_deviation("saliency", step_deviation(saliency, stored["saliency"].narrow(0, 0, rows)), kAttributions);
  const Tensor integrated = attribution("integrated_gradients", {{"n_steps", testing::number(20)}});
  expect_deviation("integrated gradients",
                   step_deviation(integrated, stored["integrated_gradients"].narrow(0, 0, rows)), kAttributions);
}

TEST_P(Architectures, GivesTheAttentionsOfTheReference) {
  const Tensor asked = positions({{0}});
  const Tensor got = model->forward({pad({texts[0]})}, {asked, /*attentions=*/true}).target_attentions[0];
  EXPECT_LE(deviation(got, stored["attentions"]), kLogits);
}

INSTANTIATE_TEST_SUITE_P(Stored, Architectures, ::testing::ValuesIn(kDecoderOnly), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(ArchitectureCases, AreAllRunOrAwaited) {
  std::multiset<std::string> stored, listed;
  for (const auto& folder : std::filesystem::directory_iterator(architecture_cases()))
    stored.insert(folder.path().filename());
  for (const auto* names : {&kDecoderOnly, &kEncoderDecoder, &kAwaited}) listed.insert(names->begin(), names->end());
  EXPECT_EQ(listed, stored);
}

TEST(ArchitectureCases, AreAwaitedOnlyWhileNothingBuildsThem) {
  for (const char* name : kAwaited)
    EXPECT_THROW(load_model(architecture_cases() / name), ModelError) << name << " is built now: take it off kAwaited";
}

TEST(ArchitectureCases, AreTheOnesThatTheDocumentationLists) {
  std::ifstream page(WHENCE_SOURCE_DIR "/docs/architectures.md");
  std::multiset<std::string> run, listed;
  for (const auto* names : {&kDecoderOnly, &kEncoderDecoder}) run.insert(names->begin(), names->end());
  for (std::string line; std::getline(page, line);)
    if (line.starts_with("| `")) listed.insert(line.substr(3, line.find('`', 3) - 3));
  EXPECT_EQ(listed, run) << "run tools/fixtures/write_architectures_doc.py";
}

}  // namespace
}  // namespace whence::transformer
