// Continuations that transformers makes, see tools/fixtures/make_generation_cases.py.
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints.h"
#include "support/json_value.h"
#include "whence/generation_options.h"

namespace whence::transformer {
namespace {

using nlohmann::json;

GenerationConfig options_of(const json& one) {
  GenerationConfig config = read_generation_options(to_value(one.at("options")));
  if (!config.max_length) config.max_new_tokens = 12;
  return config;
}

/// Stored cases by model.
std::map<std::string, std::vector<json>> cases() {
  std::map<std::string, std::vector<json>> result;
  for (const json& one : read_json(std::filesystem::path(WHENCE_TEST_DATA) / "generation/texts.json"))
    result[one.at("model").get<std::string>()].push_back(one);
  return result;
}

std::unique_ptr<Model> model_of(const std::string& name) {
  return load_model(name.ends_with(".gguf") ? smollm2() : std::filesystem::path(WHENCE_TEST_DATA) / name);
}

TEST(GenerationParity, EveryOptionGivesTheSameIds) {
  std::size_t compared = 0, ended_early = 0;
  for (const auto& [name, stored] : cases()) {
    const auto model = model_of(name);
    for (const json& one : stored) {
      const auto expected = one.at("ids").get<TokenIds>();
      const Generation made = model->generate({pad({one.at("prompt").get<TokenIds>()})}, options_of(one), {});
      EXPECT_EQ(made.ids.at(0), expected) << one;
      ++compared;
      if (one.at("options").contains("num_beams") && expected.size() < 12 && made.reasons.at(0) == StopReason::eos)
        ++ended_early;
    }
  }
  EXPECT_GT(compared, 370u);
  EXPECT_GT(ended_early, 60u) << "beams that end at an EOS";
}

/// Texts of different lengths and different searches share the passes of a batch.
TEST(GenerationParity, ABatchGivesTheIdsOfItsTextsAlone) {
  for (const auto& [name, stored] : cases()) {
    const auto model = model_of(name);
    std::map<std::string, std::vector<json>> batches;
    for (const json& one : stored)
      if (one.at("options").contains("eos_token_id") == (one.at("options").value("num_beams", 1) > 1) &&
          !one.at("options").contains("max_length"))
        batches[one.at("options").dump()].push_back(one);
    for (const auto& [options, batch] : batches) {
      std::vector<TokenIds> prompts = {{1, 44, 2, 3, 4, 5}}, expected;
      for (const json& one : batch) {
        prompts.push_back(one.at("prompt").get<TokenIds>());
        expected.push_back(one.at("ids").get<TokenIds>());
      }
      std::vector<TokenIds> made = model->generate({pad(prompts)}, options_of(batch.front()), {}).ids;
      made.erase(made.begin());
      EXPECT_EQ(made, expected) << name << " " << options;
    }
  }
}

}  // namespace
}  // namespace whence::transformer
