// Languages of multilingual checkpoints: what is encoded and generated is what transformers makes.
#include <nlohmann/json.hpp>

#include "cli/tool.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A tiny checkpoint with a multilingual tokenizer, and what transformers generates with it.
class Multilingual {
 public:
  explicit Multilingual(const std::string& name) {
    const fs::path data = WHENCE_TEST_DATA "/languages";
    expected_ = json::parse(std::ifstream(data / (name + ".json")));
    fs::create_directories(folder());
    const auto model = fs::path(WHENCE_TEST_DATA "/models/architectures") / expected_.at("model").get<std::string>();
    for (const auto& source : {model, data / name})
      for (const auto& entry : fs::directory_iterator(source))
        fs::copy_file(entry, folder() / entry.path().filename(), fs::copy_options::overwrite_existing);
  }

  fs::path folder() const { return temporary_.path() / "model"; }
  const json& expected() const { return expected_; }
  const TemporaryFolder& temporary() const { return temporary_; }

  /// Runs an experiment with these lines on `inputs` and gives its sequences.
  json run(const std::string& inputs, const std::string& more = "") const {
    const auto file = temporary_.write(
        "e.yaml", "model: " + folder().string() + "\ninputs:\n" + inputs + more +
                      "generation: {max_new_tokens: " + std::to_string(expected_.at("new_tokens").get<int>()) +
                      "}\nattributions: saliency\nbatch_size: 4\noutput_dir: out\n");
    const Outcome made = whence_tool({"run", file.string()});
    EXPECT_EQ(made.status, 0) << made.err;
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(temporary_.path() / "out"))
      if (newest.empty() || entry.last_write_time() > fs::last_write_time(newest)) newest = entry.path();
    return json::parse(std::ifstream(newest / "results/saliency.json")).at("attributes").at("sequence_attributions");
  }

  std::string text() const { return expected_.at("text"); }

 private:
  TemporaryFolder temporary_;
  json expected_;
};

std::vector<int> ids(const json& sequence, const char* side) {
  std::vector<int> ids;
  for (const auto& token : sequence.at("attributes").at(side)) ids.push_back(token.at("attributes").at("id"));
  return ids;
}

class Languages : public ::testing::TestWithParam<const char*> {};

TEST_P(Languages, OfEveryInputGenerateAsTransformersDoes) {
  const Multilingual model(GetParam());
  std::string inputs;
  for (const auto& run : model.expected().at("runs"))
    inputs += "  - {text: " + model.text() + ", src_lang: " + run.at("src_lang").get<std::string>() +
              ", tgt_lang: " + run.at("tgt_lang").get<std::string>() + "}\n";
  const json sequences = model.run(inputs);
  const auto& runs = model.expected().at("runs");
  ASSERT_EQ(sequences.size(), runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    SCOPED_TRACE(runs[i].dump());
    EXPECT_EQ(ids(sequences[i], "source"), runs[i].at("source").get<std::vector<int>>());
    EXPECT_EQ(ids(sequences[i], "target"), runs[i].at("generated").get<std::vector<int>>());
  }
}

INSTANTIATE_TEST_SUITE_P(All, Languages, ::testing::Values("mbart", "nllb", "seamless"),
                         [](const auto& info) { return info.param; });

TEST(LanguageOptions, OfTheExperimentServeInputsWithoutTheirOwn) {
  const Multilingual model("nllb");
  const json sequences = model.run("  - {text: " + model.text() + ", src_lang: fra_Latn}\n  - " + model.text() + "\n",
                                   "languages: {src_lang: deu_Latn, tgt_lang: eng_Latn}\n");
  ASSERT_EQ(sequences.size(), 2u);
  EXPECT_EQ(ids(sequences[0], "source").front(), 38);
  EXPECT_EQ(ids(sequences[1], "source").front(), 39);
  for (const auto& sequence : sequences) EXPECT_EQ(ids(sequence, "target").at(1), 37);
}

TEST(LanguageOptions, OfTheCommandMarkSourceAndTarget) {
  const Multilingual model("nllb");
  const std::vector<std::string> words = {"attribute", "-m",    model.folder().string(), "-i", model.text(), "-g",
                                          "w9 w4",     "--json"};
  const auto sequence = [&](std::vector<std::string> options) {
    options.insert(options.begin(), words.begin(), words.end());
    const Outcome made = whence_tool(options);
    EXPECT_EQ(made.status, 0) << made.err;
    return json::parse(made.out).at("attributes").at("sequence_attributions")[0];
  };
  const auto own = sequence({});
  EXPECT_EQ(ids(own, "source").front(), 37) << "the checkpoint's";
  EXPECT_EQ(ids(own, "target"), (std::vector<int>{2, 38, 9, 4, 2}));
  for (const auto& options :
       {std::vector<std::string>{"--src-lang", "fra_Latn", "--tgt-lang", "deu_Latn"},
        std::vector<std::string>{"--tokenizer-kwargs", R"({"src_lang": "fra_Latn", "tgt_lang": "deu_Latn"})"}}) {
    const auto named = sequence(options);
    EXPECT_EQ(ids(named, "source").front(), 38);
    EXPECT_EQ(ids(named, "target"), (std::vector<int>{2, 39, 9, 4, 2}));
  }
}

TEST(LanguageOptions, RefuseWhatTheCheckpointDoesNotHave) {
  const Multilingual model("nllb");
  const auto error = [](const std::string& folder, std::vector<std::string> options) {
    options.insert(options.begin(), {"attribute", "-m", folder, "-i", "w7"});
    return whence_tool(options).err;
  };
  const std::string many = model.folder().string();
  EXPECT_EQ(error(many, {"--tgt-lang", "fra_Lat"}),
            "whence: error: input '0': text: the tokenizer has no language 'fra_Lat', the nearest is 'fra_Latn'; name "
            "one of the checkpoint's\n");
  EXPECT_EQ(error(many, {"--src-lang", "deu"}).substr(0, 65),
            "whence: error: input '0': text: the tokenizer has no language 'de");
  EXPECT_EQ(error(many, {"--tgt-lang", "fra_Latn", "--generation-kwargs", R"({"forced_bos_token_id": 3})"}),
            "whence: error: input '0': tgt_lang 'fra_Latn' is token 38, but forced_bos_token_id is 3; leave one out\n");
  EXPECT_EQ(error(many, {"--tgt-lang", "fra_Latn", "--tokenizer-kwargs", R"({"tgt_lang": "fra_Latn"})"}),
            "whence: error: --tgt-lang: tgt_lang is in --tokenizer-kwargs, too; leave one out\n");
  EXPECT_EQ(error(kTinyModel, {"--src-lang", "en"}),
            "whence: error: input '0': src_lang 'en' has no effect, since model 'llama' has no source; leave it out\n");
  EXPECT_EQ(error(kTinyModel, {"--tgt-lang", "en"}),
            "whence: error: input '0': text: the tokenizer has no language 'en', it knows none; leave it out\n");
}

json attributed(const Multilingual& model, std::vector<std::string> more) {
  more.insert(more.begin(), {"attribute", "-m", model.folder().string(), "-i", model.text(), "--json"});
  const Outcome made = whence_tool(more);
  EXPECT_EQ(made.status, 0) << made.err;
  return json::parse(made.out).at("attributes");
}

TEST(MosesCheckpoints, EncodeEachSideInItsLanguage) {
  const Multilingual model("fsmt");
  const json& expected = model.expected();
  const json sequence = attributed(model, {"-g", expected.at("given")}).at("sequence_attributions")[0];
  EXPECT_EQ(ids(sequence, "source"), expected.at("source").get<std::vector<int>>());
  std::vector<int> target = ids(sequence, "target");
  EXPECT_EQ(target.front(), 2) << "the decoder's start";
  target.erase(target.begin());
  EXPECT_EQ(target, expected.at("target").get<std::vector<int>>());
}

TEST(MosesCheckpoints, GenerateAsTransformersDoes) {
  const Multilingual model("biogpt");
  const json& expected = model.expected();
  const json made = attributed(
      model,
      {"--generation-kwargs", "{\"max_new_tokens\": " + std::to_string(expected.at("new_tokens").get<int>()) + "}"});
  EXPECT_EQ(ids(made.at("sequence_attributions")[0], "target"), expected.at("generated").get<std::vector<int>>());
  EXPECT_EQ(made.at("info").at("generated_texts")[0], expected.at("decoded"));
}

}  // namespace
