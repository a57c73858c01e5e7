// Searches over a scorer that is no model.
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "next_token_scorer.h"
#include "support/fake_tokenizer.h"
#include "text_generation.h"

namespace whence::transformer {
namespace {

constexpr std::int64_t kVocabulary = 4;
constexpr std::int64_t kEos = 3;

/// Scores that follow from a text and the number of its sequence alone; checks that texts extend those of the last
/// call.
class TableScorer final : public NextTokenScorer {
 public:
  Tensor next_logits(const std::vector<OpenText>& texts) override {
    Tensor logits = at::empty({std::ssize(texts), kVocabulary});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const OpenText& text = texts[i];
      if (text.parent >= 0) {
        const OpenText& parent = last_.at(static_cast<std::size_t>(text.parent));
        EXPECT_EQ(parent.sequence, text.sequence);
        EXPECT_EQ(parent.ids, TokenIds(text.ids.begin(), text.ids.end() - 1));
      } else {
        EXPECT_TRUE(last_.empty()) << "a text begins late";
      }
      logits[static_cast<std::int64_t>(i)].copy_(scores(text.ids, text.sequence));
    }
    rows_ += std::ssize(texts);
    last_ = texts;
    return logits;
  }

  static Tensor scores(const TokenIds& ids, std::int64_t sequence) {
    Tensor row = at::empty({kVocabulary});
    for (std::int64_t v = 0; v < kVocabulary; ++v) {
      double sum = static_cast<double>(sequence) + 1.7 * static_cast<double>(v);
      for (const std::int64_t id : ids) sum = 2.3 * std::sin(3.1 * sum + static_cast<double>(id));
      row[v] = sum;
    }
    return row;
  }

  std::int64_t rows() const { return rows_; }

 private:
  std::vector<OpenText> last_;
  std::int64_t rows_ = 0;
};

ModelInfo info() {
  ModelInfo model;
  model.vocabulary = kVocabulary;
  model.max_positions = 32;
  model.eos = {kEos};
  return model;
}

Generation generate(const std::vector<TokenIds>& prompts, const GenerationConfig& config) {
  TableScorer scorer;
  return generate_texts(scorer, info(), testing::FakeTokenizer(kVocabulary), prompts, config, {});
}

struct Best {
  double score = -1e30;
  TokenIds ids;
};

/// The best of all continuations that end at an EOS or after `left` tokens.
void search_all(const TokenIds& text, std::size_t prompt, std::int64_t left, double sum, double penalty,
                std::int64_t sequence, Best& best) {
  const Tensor logs = at::log_softmax(TableScorer::scores(text, sequence), 0);
  for (std::int64_t v = 0; v < kVocabulary; ++v) {
    TokenIds longer = text;
    longer.push_back(v);
    const double total = sum + logs[v].item<float>();
    if (v != kEos && left > 1) {
      search_all(longer, prompt, left - 1, total, penalty, sequence, best);
      continue;
    }
    const double score = total / std::pow(static_cast<double>(longer.size() - prompt), penalty);
    if (score > best.score) best = {score, {longer.begin() + static_cast<std::ptrdiff_t>(prompt), longer.end()}};
  }
}

/// With as many beams as there are open texts, a search that never stops early leaves nothing out.
TEST(BeamSearch, OfAllTextsFindsTheBest) {
  const std::vector<TokenIds> prompts = {{0}, {1, 2}, {2, 2, 1}};
  for (const double penalty : {0.0, 1.0, 2.5, -1.0}) {
    GenerationConfig config;
    config.max_new_tokens = 4;
    config.num_beams = 120;
    config.length_penalty = penalty;
    config.early_stopping = EarlyStopping::never;
    const Generation made = generate(prompts, config);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      Best best;
      search_all(prompts[i], prompts[i].size(), 4, 0, penalty, static_cast<std::int64_t>(i), best);
      EXPECT_EQ(made.ids[i], best.ids) << "penalty " << penalty << ", prompt " << i;
      EXPECT_EQ(made.reasons[i], best.ids.back() == kEos ? StopReason::eos : StopReason::length);
    }
  }
}

TEST(BeamSearch, StopsEarlyOnlyWhenItMay) {
  const auto rows = [](EarlyStopping stopping) {
    GenerationConfig config;
    config.max_new_tokens = 20;
    config.num_beams = 3;
    config.early_stopping = stopping;
    TableScorer scorer;
    generate_texts(scorer, info(), testing::FakeTokenizer(kVocabulary), {{1, 2}}, config, {});
    return scorer.rows();
  };
  EXPECT_LT(rows(EarlyStopping::yes), rows(EarlyStopping::never));
  EXPECT_LE(rows(EarlyStopping::no), rows(EarlyStopping::never));
}

TEST(GreedySearch, LooksAtATextAsLongAsItGrows) {
  GenerationConfig config;
  config.max_new_tokens = 6;
  config.eos = TokenIds{};
  TableScorer scorer;
  const Generation made =
      generate_texts(scorer, info(), testing::FakeTokenizer(kVocabulary), {{0}, {1, 2}}, config, {});
  EXPECT_EQ(scorer.rows(), 12);
  TokenIds text = {1, 2};
  for (const std::int64_t id : made.ids[1]) {
    EXPECT_EQ(id, TableScorer::scores(text, 1).argmax().item<std::int64_t>());
    text.push_back(id);
  }
}

}  // namespace
}  // namespace whence::transformer
