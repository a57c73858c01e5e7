// What must not depend on how work is put together: steps in chunks, texts in batches, threads, and doing it again.
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <numeric>

#include "checkpoints.h"
#include "random_decoder.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

/// Threads of libtorch, until the end of a scope.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

const std::vector<TokenIds> kTexts = {{1, 17, 5, 40, 33, 8, 21, 60, 12}, {1, 9, 30, 44, 2, 51}, {7}, TokenIds(30, 11)};
const std::vector<std::vector<std::int64_t>> kAsked = {
    {3, 8, 5, 5, 0, -1, 7}, {0, 5, -1, -1, 2, 1, 4}, {-1, -1, 0, -1, -1, -1, -1}, {29, 3, 17, 20, 21, 22, 8}};
constexpr std::int64_t kSteps = 7;

/// Logits, gradients at the embeddings and at a layer.
struct Results {
  Tensor logits, target, layer;

  bool operator==(const Results& other) const {
    return at::equal(logits, other.logits) && at::equal(target, other.target) && at::equal(layer, other.layer);
  }
};

class Batching : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(request_for_own(GetParam()));
  RandomTensors random{at::kFloat};
  Tensor cotangents = random({std::ssize(kTexts), kSteps, model->info().vocabulary});

  /// Results of some texts, in the order of `which`, with steps in chunks; padded to the longest of all.
  Results of(const std::vector<std::int64_t>& which, std::int64_t chunk = kSteps) const {
    std::vector<TokenIds> texts;
    std::vector<std::vector<std::int64_t>> asked;
    for (const std::int64_t b : which) {
      texts.push_back(kTexts[static_cast<std::size_t>(b)]);
      asked.push_back(kAsked[static_cast<std::size_t>(b)]);
    }
    const Tensor own = cotangents.index_select(0, at::tensor(which, at::kLong));
    const Forward forward = model->forward({pad(texts)}, {positions(asked), false, false, /*trace=*/true});
    PullBackRequest request;
    request.layers = decoder_sites({1});
    std::vector<Tensor> target, layer;
    for (std::int64_t first = 0; first < kSteps; first += chunk) {
      const Gradients part =
          model->pull_back(forward, {own.narrow(1, first, std::min(chunk, kSteps - first)), first}, request);
      target.push_back(part.target);
      layer.push_back(part.layers[0]);
    }
    return {forward.logits, at::cat(target, 2), at::cat(layer, 2)};
  }
};

TEST_P(Batching, ChunksOfStepsAreTheSameAsAllAtOnce) {
  const Results all = of({0, 1, 2, 3});
  for (const std::int64_t chunk : {1, 2, 3, 4, 5, 6}) EXPECT_TRUE(of({0, 1, 2, 3}, chunk) == all) << chunk;
}

TEST_P(Batching, ATextIsTheSameInAnyOrderAndCompany) {
  const Results all = of({0, 1, 2, 3});
  for (const std::vector<std::int64_t>& which :
       std::vector<std::vector<std::int64_t>>{{3, 2, 1, 0}, {1, 3}, {0, 0, 2, 0}, {0}, {1}, {2}, {3}}) {
    const Results some = of(which);
    const std::int64_t longest = some.target.size(1);
    for (std::int64_t i = 0; i < std::ssize(which); ++i) {
      const std::int64_t b = which[static_cast<std::size_t>(i)];
      EXPECT_TRUE(at::equal(some.logits[i], all.logits[b])) << "text " << b;
      EXPECT_TRUE(at::equal(some.target[i], all.target[b].narrow(0, 0, longest))) << "text " << b;
      EXPECT_TRUE(at::equal(some.layer[i], all.layer[b].narrow(0, 0, longest))) << "text " << b;
    }
  }
}

TEST_P(Batching, ThreadsAndRepetitionsAreTheSame) {
  const Results expected = [&] {
    const Threads one(1);
    const Results first = of({0, 1, 2, 3});
    EXPECT_TRUE(of({0, 1, 2, 3}) == first);
    return first;
  }();
  for (const int count : {2, 3}) {
    const Threads several(count);
    EXPECT_TRUE(of({0, 1, 2, 3}) == expected) << count << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Batching,
                         ::testing::Values("mistral_window", "qwen3", "llama_bias", "llama_dynamic", "llama_gguf"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PullBackRequests, ThatCannotBeAreRefused) {
  const auto model = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad({kTexts[0]})}, {positions({{3, 8}}), false, false, /*trace=*/true});
  const auto layer_error = [&](std::int64_t layer) {
    PullBackRequest request;
    request.layers = decoder_sites({0, layer});
    return testing::text_of_error<ConfigError>([&] { model->pull_back(forward, {forward.logits}, request); });
  };
  const std::string expected = " is not in the model; expected 0 to 2, where 2 is the input of the final norm";
  EXPECT_EQ(layer_error(3), "layer 3" + expected);
  EXPECT_EQ(layer_error(-1), "layer -1" + expected);
  EXPECT_EQ(layer_error(2), "nothing was thrown");

  const auto steps_error = [&](const Cotangents& cotangents) {
    return testing::text_of_error<std::invalid_argument>([&] { model->pull_back(forward, cotangents, {}); });
  };
  const std::string shape = "expected cotangents [B,T',V] of some steps of the logits, [B,T,V]";
  EXPECT_EQ(steps_error({forward.logits, 1}), shape);
  EXPECT_EQ(steps_error({forward.logits, -1}), shape);
  EXPECT_EQ(steps_error({{}}), shape);
  EXPECT_EQ(steps_error({forward.logits.narrow(1, 0, 0)}), shape);
  EXPECT_EQ(steps_error({forward.logits.narrow(2, 0, 5)}), shape);
  EXPECT_EQ(steps_error({forward.logits.expand({2, -1, -1})}), shape);
  EXPECT_EQ(steps_error({forward.logits.narrow(1, 1, 1), 1}), "nothing was thrown");

  PullBackRequest source;
  source.source = true;
  EXPECT_EQ(testing::text_of_error<InputError>([&] { model->pull_back(forward, {forward.logits}, source); }),
            "a decoder-only model has no source to take gradients at");
}

TEST(ReferencePasses, MustGoOverTheSameRows) {
  const auto model = load_model(own_model("qwen3"));
  const Forward forward = model->forward({pad({kTexts[0]})}, {positions({{3, 8}}), false, false, /*trace=*/true});
  const auto error = [&](const Forward& reference) {
    PullBackRequest request;
    request.rules = {{"activation", "deeplift"}};
    request.reference = &reference;
    return testing::text_of_error<std::invalid_argument>([&] { model->pull_back(forward, {forward.logits}, request); });
  };
  const std::string refused = "a reference pass must be a traced pass of this model over the same rows";
  EXPECT_EQ(error(model->forward({pad({TokenIds(9, 2)})}, {positions({{1, 8}}), false, false, true})),
            "nothing was thrown");
  EXPECT_EQ(error(model->forward({pad({TokenIds(9, 2)})}, {positions({{3, 7}}), false, false, true})), refused);
  EXPECT_EQ(error(model->forward({pad({TokenIds(9, 2)})}, {positions({{3, 8}})})), refused);
  EXPECT_EQ(
      error(
          load_model(own_model("qwen3"))->forward({pad({TokenIds(9, 2)})}, {positions({{3, 8}}), false, false, true})),
      refused);
}

}  // namespace
}  // namespace whence::transformer
