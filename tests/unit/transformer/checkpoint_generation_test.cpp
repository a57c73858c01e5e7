// What a checkpoint says of generating.
#include "checkpoint_generation.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

namespace fs = std::filesystem;

class GenerationOfACheckpoint : public ::testing::Test {
 protected:
  GenerationOfACheckpoint() { fs::copy(own_model("qwen3"), folder_.path()); }

  void write(const std::string& file, const nlohmann::json& changes) {
    nlohmann::json content = read_json(own_model("qwen3") / file);
    content.update(changes);
    std::ofstream(folder_.path() / file) << content;
  }
  TokenIds generate(const GenerationConfig& config) const {
    return load_model(folder_.path())->generate({pad({TokenIds{1}})}, config, {}).ids[0];
  }

  testing::TemporaryFolder folder_;
};

TEST_F(GenerationOfACheckpoint, IsFollowedUnlessOptionsSayOtherwise) {
  GenerationConfig greedy, beams;
  greedy.max_new_tokens = beams.max_new_tokens = 9;
  beams.num_beams = 3;
  const TokenIds likeliest = generate(greedy), best = generate(beams);
  ASSERT_NE(likeliest, best);
  write("generation_config.json", {{"num_beams", 3}, {"max_new_tokens", 9}, {"use_cache", true}});
  EXPECT_EQ(generate({}), best);
  greedy.num_beams = 1;
  EXPECT_EQ(generate(greedy), likeliest);
}

TEST_F(GenerationOfACheckpoint, MayStandInConfigJson) {
  write("config.json", {{"num_beams", 3}});
  EXPECT_FALSE(read_checkpoint_generation(folder_.path()).options.num_beams);
  fs::remove(folder_.path() / "generation_config.json");
  EXPECT_EQ(read_checkpoint_generation(folder_.path()).options.num_beams, 3);
}

TEST_F(GenerationOfACheckpoint, TakesTheUsualMaxLengthForTheDefault) {
  write("generation_config.json", {{"max_length", 20}});
  EXPECT_FALSE(read_checkpoint_generation(folder_.path()).options.max_length);
  write("generation_config.json", {{"max_length", 21}});
  EXPECT_EQ(read_checkpoint_generation(folder_.path()).options.max_length, 21);
}

TEST_F(GenerationOfACheckpoint, RefusesValuesThatCannotBe) {
  write("generation_config.json", {{"num_beams", 0}});
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { generate({}); }),
            (folder_.path() / "generation_config.json").string() +
                ": 'num_beams' is 0; expected 1 to 1024; correct the file, or give the generated texts");
}

TEST_F(GenerationOfACheckpoint, RefusesToGenerateWithoutAnOptionThatIsNotAvailable) {
  write("generation_config.json",
        {{"encoder_no_repeat_ngram_size", 3}, {"eta_cutoff", 0.0}, {"sequence_bias", nullptr}});
  const auto model = load_model(folder_.path());
  EXPECT_EQ(testing::text_of_error<ModelError>([&] { generate({}); }),
            (folder_.path() / "generation_config.json").string() +
                ": 'encoder_no_repeat_ngram_size' is 3: generating with this option is not available; take it out of "
                "the file, or give the generated texts");
}

}  // namespace
}  // namespace whence::transformer
