// Passes with dropout against the spread of those of transformers in training mode.
#include <ATen/ops/arange.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/std.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/model_loading.h"
#include "support/plugins.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/text_of_error.h"
#include "whence/error.h"
#include "whence/forward.h"

namespace whence::parity {
namespace {

using nlohmann::json;

const json& cases() {
  static const json all = json::parse(std::ifstream(WHENCE_TEST_DATA "/dropout/cases.json"));
  return all;
}

/// The checkpoint of a case with its probabilities.
class Checkpoint {
 public:
  explicit Checkpoint(const json& one) {
    const std::filesystem::path stored = WHENCE_TEST_DATA "/cases/models/" + one.at("model").get<std::string>();
    for (const auto& file : std::filesystem::directory_iterator(stored))
      if (file.path().filename() != "config.json")
        std::filesystem::create_symlink(file.path(), folder_.path() / file.path().filename());
    json config = json::parse(std::ifstream(stored / "config.json"));
    config.update(one.at("settings"));
    folder_.write("config.json", config.dump());
    loaded_ = host::load_model(testing::built_plugins(), folder_.path().string());
  }
  const Model& model() const { return *loaded_.model; }

 private:
  testing::TemporaryFolder folder_;
  host::LoadedModel loaded_;
};

PaddedIds padded(const std::vector<TokenIds>& texts) {
  std::vector<Tensor> rows;
  std::vector<std::int64_t> lengths;
  for (const TokenIds& text : texts) {
    rows.push_back(at::tensor(text, at::kLong));
    lengths.push_back(std::ssize(text));
  }
  return {at::stack(rows), at::tensor(lengths, at::kLong)};
}

/// Inputs of `copies` of the text of a case.
Inputs inputs_of(const json& one, std::size_t copies) {
  Inputs inputs{.target = padded(std::vector<TokenIds>(copies, one.at("target").get<TokenIds>()))};
  if (const auto source = one.at("source").get<TokenIds>(); !source.empty())
    inputs.source = padded(std::vector<TokenIds>(copies, source));
  return inputs;
}

/// [copies,T] log-probabilities of the tokens after the first.
Tensor log_probabilities(const Model& model, const Inputs& inputs, const Dropout& dropout) {
  const Tensor& ids = inputs.target.ids;
  const std::int64_t steps = ids.size(1) - 1;
  const Tensor positions = at::arange(steps).expand({ids.size(0), steps}).contiguous();
  const Tensor logits = model.forward(inputs, {.positions = positions, .dropout = dropout}).logits;
  return at::log_softmax(logits.to(at::kDouble), -1).gather(-1, ids.narrow(1, 1, steps).unsqueeze(-1)).squeeze(-1);
}

std::vector<std::string> names(std::size_t count, std::size_t first = 0) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back("text " + std::to_string(first + i));
  return result;
}

class DropoutParity : public ::testing::TestWithParam<json> {};

TEST_P(DropoutParity, SpreadsLikeTransformersInTraining) {
  const json& one = GetParam();
  const Checkpoint checkpoint(one);
  constexpr std::size_t kTexts = 50, kSamples = 20;
  const Inputs inputs = inputs_of(one, kTexts);
  std::vector<Tensor> all;
  for (std::size_t sample = 0; sample < kSamples; ++sample)
    all.push_back(
        log_probabilities(checkpoint.model(), inputs,
                          {.seed = 3, .sample = static_cast<std::int64_t>(sample), .sequence_ids = names(kTexts)}));
  const Tensor noisy = at::stack(all).flatten(0, 1);
  const Tensor mean = at::tensor(one.at("mean").get<std::vector<double>>()),
               spread = at::tensor(one.at("std").get<std::vector<double>>());
  // Five standard errors of a mean and of a deviation of 1000 numbers; tails heavier than normal have some more of it.
  const double error = 1 / std::sqrt(static_cast<double>(noisy.size(0)));
  EXPECT_LT(((noisy.mean(0) - mean).abs() / spread).max().item<double>(), 5 * error);
  EXPECT_LT(((noisy.std(0, true) - spread).abs() / spread).max().item<double>(), 5 * error);
}

TEST_P(DropoutParity, MasksDependOnTheirKeyAlone) {
  const json& one = GetParam();
  const Checkpoint checkpoint(one);
  const auto run = [&](std::size_t copies, const Dropout& dropout) {
    return log_probabilities(checkpoint.model(), inputs_of(one, copies), dropout);
  };
  const Tensor three = run(3, {.seed = 3, .sequence_ids = names(3)});
  EXPECT_TRUE(testing::near(run(1, {.seed = 3, .sequence_ids = names(1, 1)})[0], three[1]));
  EXPECT_FALSE(testing::near(three[0], three[1]));
  EXPECT_FALSE(testing::near(run(1, {.seed = 4, .sequence_ids = names(1, 1)})[0], three[1]));
  EXPECT_FALSE(testing::near(run(1, {.seed = 3, .sample = 1, .sequence_ids = names(1, 1)})[0], three[1]));
  // Without names nothing is dropped, before or after.
  const Tensor clean = at::tensor(one.at("clean").get<std::vector<double>>());
  EXPECT_TRUE(testing::near(run(1, {})[0], clean, 1e-4, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Cases, DropoutParity, ::testing::ValuesIn(cases().begin(), cases().end()),
                         [](const auto& info) {
                           std::string name = info.param.at("model");
                           for (const auto& [key, rate] : info.param.at("settings").items())
                             if (rate.template get<double>() > 0) name += "_" + key;
                           return name;
                         });

TEST(DropoutCapability, IsThatOfTheCheckpoint) {
  json one = cases().at(0);
  const Checkpoint with(one);
  EXPECT_TRUE(with.model().query(Dropout::kCapability));
  for (auto& rate : one.at("settings")) rate = 0.0;
  const Checkpoint without(one);
  EXPECT_FALSE(without.model().query(Dropout::kCapability));
  EXPECT_NE(testing::text_of_error<ConfigError>([&] {
              log_probabilities(without.model(), inputs_of(one, 1), {.sequence_ids = names(1)});
            }).find("the checkpoint has no dropout; ask for passes without"),
            std::string::npos);
}

}  // namespace
}  // namespace whence::parity
