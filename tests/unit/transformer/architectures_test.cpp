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
  bool has_source = stored.has("source_ids");
  std::vector<Side> sides = has_source ? std::vector{Side::source, Side::target} : std::vector{Side::target};
  std::vector<TokenIds> targets = stored.texts("ids", "lengths"),
                        sources = has_source ? stored.texts("source_ids", "source_lengths") : std::vector<TokenIds>{};
  Tensor logits = stored["logits"], asked = stored.ids("positions").unsqueeze(0),
         cotangents = stored["cotangents"].unsqueeze(0);

  /// What is stored of one side.
  Tensor stored_of(Side side, const std::string& name) const {
    return stored[(side == Side::source ? "source_" : "") + name];
  }
  template <class Sides>
  static const Tensor& of(Side side, const Sides& both) {
    return side == Side::source ? both.source : both.target;
  }

  /// Some of the texts.
  Inputs inputs(const std::vector<std::size_t>& which) const {
    const auto chosen = [&](const std::vector<TokenIds>& texts) {
      std::vector<TokenIds> result;
      for (const std::size_t i : which) result.push_back(texts[i]);
      return pad(result);
    };
    return {chosen(targets), has_source ? chosen(sources) : PaddedIds{}};
  }
  /// The stored logits of one text.
  Tensor logits_of(std::size_t text) const {
    return logits[static_cast<std::int64_t>(text)].narrow(0, 0, std::ssize(targets[text]));
  }

  /// As many tokens as are stored under that name.
  void expect_continuation(const char* name, std::int64_t beams) const {
    GenerationConfig config;
    config.max_new_tokens = stored.ids(name).numel();
    config.num_beams = beams;
    config.eos = TokenIds{};
    if (has_source) config.suppress_tokens = TokenIds{1};  // padding
    const TokenIds prompt = stored.tokens("prompt");
    const Inputs begun =
        has_source ? Inputs{pad({{targets[0].front()}}), pad({prompt})} : Inputs{pad({prompt}), PaddedIds{}};
    EXPECT_EQ(model->generate(begun, config).ids.at(0), stored.tokens(name));
  }

  PullBackRequest both_sides() const {
    PullBackRequest request;
    request.source = has_source;
    return request;
  }

  /// Attributions of the last tokens of the first text.
  Attribution attribution(const char* method, Value::Map params = {}, bool attribute_target = true) const {
    const auto score = testing::built_plugins().make_step_function(testing::choice("probability"));
    const auto tokens = [](const TokenIds& ids) {
      std::vector<Token> result;
      for (const std::int64_t id : ids) result.push_back({std::to_string(id), id});
      return result;
    };
    Sequence sequence{.id = GetParam(), .target = tokens(targets[0])};
    if (has_source) sequence.source = tokens(sources[0]);
    sequence.steps = {std::ssize(targets[0]) - stored["saliency"].size(1), std::ssize(targets[0])};
    Problem::Options options;
    options.attribute_target = attribute_target;
    const Problem problem(*model, *score, {sequence}, options);
    return testing::built_plugins().make_method(testing::choice(method, std::move(params)))->attribute(problem);
  }
};

TEST_P(Architectures, GivesTheLogitsOfTheReference) {
  double worst = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Tensor all = at::arange(std::ssize(targets[i])).unsqueeze(0);
    worst = std::max(worst, deviation(model->forward(inputs({i}), {all}).logits[0], logits_of(i)));
  }
  expect_deviation("logits", worst, kLogits);
}

TEST_P(Architectures, PaddingChangesNothing) {
  std::vector<std::vector<std::int64_t>> rows;
  for (const TokenIds& text : targets) rows.push_back({0, std::ssize(text) / 2, std::ssize(text) - 1});
  const Tensor got = model->forward(inputs({0, 1, 2}), {positions(rows)}).logits;
  for (std::size_t i = 0; i < targets.size(); ++i)
    EXPECT_LE(deviation(got[static_cast<std::int64_t>(i)], logits_of(i).index_select(0, positions({rows[i]})[0])),
              kLogits)
        << "text " << i;
}

TEST_P(Architectures, ContinuesTextsAsTheReferenceDoes) {
  expect_continuation("greedy", 1);
  expect_continuation("beam", 3);
}

TEST_P(Architectures, PullsBackWhatAutogradDoes) {
  const Forward forward = model->forward(inputs({0}), {asked, false, false, /*trace=*/true});
  const Gradients got = model->pull_back(forward, {cotangents}, both_sides());
  double worst = 0;
  for (const Side side : sides) worst = std::max(worst, step_deviation(of(side, got)[0], stored_of(side, "gradients")));
  expect_deviation("gradients", worst, kGradients);
}

TEST_P(Architectures, PullsBackTheSameInChunksOfAPaddedBatch) {
  const Tensor nothing = at::full_like(asked, -1);
  const Forward forward =
      model->forward(inputs({2, 0, 1}), {at::cat({nothing, asked, nothing}), false, false, /*trace=*/true});
  for (std::int64_t t = 0; t < asked.size(1); ++t) {
    const Tensor one = cotangents.narrow(1, t, 1);
    const Gradients got = model->pull_back(forward, {at::cat({one, one, one}), t}, both_sides());
    for (const Side side : sides) {
      const Tensor rows = of(side, got)[1], expected = stored_of(side, "gradients").narrow(1, t, 1);
      EXPECT_LE(step_deviation(rows.narrow(0, 0, expected.size(0)), expected), kGradients);
      EXPECT_EQ(rows.narrow(0, expected.size(0), rows.size(0) - expected.size(0)).abs().max().item<double>(), 0);
    }
  }
}

TEST_P(Architectures, ExplainsTokensAsTheReferenceDoes) {
  const Attribution saliency = attribution("saliency"),
                    integrated = attribution("integrated_gradients", {{"n_steps", testing::number(20)}});
  double worst_saliency = 0, worst_integrated = 0;
  for (const Side side : sides) {
    const std::int64_t rows = of(side, saliency).size(1);  // targets end before their last explained token
    worst_saliency = std::max(worst_saliency, step_deviation(at::linalg_vector_norm(of(side, saliency)[0], 2, -1),
                                                             stored_of(side, "saliency").narrow(0, 0, rows)));
    worst_integrated =
        std::max(worst_integrated,
                 step_deviation(of(side, integrated)[0], stored_of(side, "integrated_gradients").narrow(0, 0, rows)));
  }
  expect_deviation("saliency", worst_saliency, kAttributions);
  expect_deviation("integrated gradients", worst_integrated, kAttributions);
  if (!has_source) return;
  const Attribution alone = attribution("integrated_gradients", {{"n_steps", testing::number(20)}},
                                        /*attribute_target=*/false);
  EXPECT_FALSE(alone.target.defined());
  EXPECT_LE(step_deviation(alone.source[0], stored["source_alone_integrated_gradients"]), kAttributions);
}

TEST_P(Architectures, GivesTheAttentionsOfTheReference) {
  if (!stored.has("attentions")) return;  // the reference's own are wrong where Falcon has biases of positions
  const Forward got = model->forward(inputs({0}), {positions({{0}}), /*attentions=*/true});
  EXPECT_LE(deviation(got.target_attentions[0], stored["attentions"]), kLogits);
  if (!has_source) return;
  EXPECT_LE(deviation(got.source_attentions[0], stored["source_attentions"]), kLogits);
  EXPECT_LE(deviation(got.cross_attentions[0], stored["cross_attentions"]), kLogits);
}

INSTANTIATE_TEST_SUITE_P(Stored, Architectures, ::testing::ValuesIn(kArchitectureCases), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(ArchitectureCases, AreAllRun) {
  std::multiset<std::string> stored;
  const std::multiset<std::string> listed(kArchitectureCases.begin(), kArchitectureCases.end());
  for (const auto& folder : std::filesystem::directory_iterator(architecture_cases()))
    stored.insert(folder.path().filename());
  EXPECT_EQ(listed, stored);
}

TEST(ArchitectureCases, AreTheOnesThatTheDocumentationLists) {
  std::ifstream page(WHENCE_SOURCE_DIR "/docs/architectures.md");
  const std::multiset<std::string> built(kArchitectureCases.begin(), kArchitectureCases.end());
  std::multiset<std::string> listed;
  for (std::string line; std::getline(page, line);)
    if (line.starts_with("| `")) listed.insert(line.substr(3, line.find('`', 3) - 3));
  EXPECT_EQ(listed, built) << "run tools/fixtures/write_architectures_doc.py";
}

}  // namespace
}  // namespace whence::transformer
