// Passes that share rows of an earlier one against passes over whole texts.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "checkpoints.h"
#include "random_decoder.h"
#include "support/tensors.h"
#include "support/text_of_error.h"

namespace whence::transformer {
namespace {

constexpr double kTolerance = 1e-6;

/// Texts whose keys are shared.
const std::vector<TokenIds> kBase = {{1, 17, 5, 40, 33, 8, 21, 60, 12, 7, 3}, {9, 30, 44, 2, 51, 6, 18}};

/// A text that begins like one of the base.
struct Variant {
  std::int64_t base, first_changed;
  TokenIds text;
  std::vector<std::int64_t> asked;
};

/// The first row changed, the last one, one between, none at all; shorter and longer than the base, and a text that
/// nothing is asked of.
const std::vector<Variant> kVariants = {{0, 0, {2, 17, 5, 40, 33, 8, 21, 60, 12, 7, 3}, {10, 0, 4}},
                                        {1, 3, {9, 30, 44, 50, 51, 6, 18}, {6, 3, -1}},
                                        {0, 10, {1, 17, 5, 40, 33, 8, 21, 60, 12, 7, 22}, {10, 10, -1}},
                                        {0, 5, {1, 17, 5, 40, 33, 61}, {5, -1, -1}},
                                        {1, 6, {9, 30, 44, 2, 51, 6, 19, 20, 21, 22, 23}, {7, 10, 6}},
                                        {0, 4, {1, 17, 5, 40, 33, 8, 21, 60, 12, 7, 3}, {4, 8, 9}},
                                        {1, 2, {9, 30, 45, 2, 51, 6, 18}, {-1, -1, -1}}};

/// What the texts of the base are translations of, for models that look at a source.
const std::vector<TokenIds> kSources = {{4, 22, 9, 13, 2}, {31, 7, 7, 2}};

/// A stored checkpoint, or one of the architectures.
std::filesystem::path folder_of(const std::string& name) {
  const auto own = request_for_own(name).path;
  return std::filesystem::exists(own) ? std::filesystem::path(own) : own_model("architectures") / name;
}

/// Texts of ids that the model has.
PaddedIds ids_of(const Model& model, std::vector<TokenIds> texts) {
  for (TokenIds& text : texts)
    for (std::int64_t& id : text) id %= model.info().vocabulary;
  return pad(texts);
}

class SharedPrefixes : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Model> model = load_model(folder_of(GetParam()));
  Forward base =
      model->forward(with_sources(kBase, {0, 1}), {positions({{-1}, {-1}}), false, false, false, /*keep_prefix=*/true});

  /// Texts as variants of the base have them, with the sources of these if the model looks at some.
  Inputs with_sources(const std::vector<TokenIds>& texts, const std::vector<std::int64_t>& bases) const {
    Inputs inputs{ids_of(*model, texts)};
    if (model->info().kind == ModelKind::decoder_only) return inputs;
    std::vector<TokenIds> sources;
    for (const std::int64_t base : bases) sources.push_back(kSources[static_cast<std::size_t>(base)]);
    inputs.source = ids_of(*model, sources);
    return inputs;
  }
  Inputs variants() const {
    std::vector<std::int64_t> bases;
    for (const Variant& variant : kVariants) bases.push_back(variant.base);
    return with_sources(texts(), bases);
  }
  static std::vector<TokenIds> texts() {
    std::vector<TokenIds> result;
    for (const Variant& variant : kVariants) result.push_back(variant.text);
    return result;
  }
  static Tensor asked() {
    std::vector<std::vector<std::int64_t>> result;
    for (const Variant& variant : kVariants) result.push_back(variant.asked);
    return positions(result);
  }
  ForwardRequest sharing() const {
    std::vector<std::int64_t> bases, starts;
    for (const Variant& variant : kVariants) {
      bases.push_back(variant.base);
      starts.push_back(variant.first_changed);
    }
    ForwardRequest request{asked(), false, false, /*trace=*/true};
    request.shared = {&base, at::tensor(bases, at::kLong), at::tensor(starts, at::kLong)};
    return request;
  }
};

TEST_P(SharedPrefixes, GiveTheLogitsOfWholeTexts) {
  const Forward shared = model->forward(variants(), sharing());
  const Forward whole = model->forward(variants(), {asked()});
  EXPECT_TRUE(testing::near(shared.logits, whole.logits, kTolerance, kTolerance));
}

TEST_P(SharedPrefixes, GiveTheGradientsOfWholeTextsAtTheirOwnRows) {
  const Forward shared = model->forward(variants(), sharing());
  const Forward whole = model->forward(variants(), {asked(), false, false, /*trace=*/true});
  RandomTensors random(at::kFloat);
  const Tensor cotangents = random(whole.logits.sizes());
  PullBackRequest request;
  request.layers = decoder_sites({0, 1, model->info().layers});
  Gradients expected = model->pull_back(whole, {cotangents}, request);
  const Gradients got = model->pull_back(shared, {cotangents}, request);
  PullBackRequest only = request;
  only.first_changed_only = true;
  const Gradients first = model->pull_back(shared, {cotangents}, only);
  const auto compare = [&](const Tensor& rows, const Tensor& first_rows, Tensor whole_rows) {
    for (std::size_t b = 0; b < kVariants.size(); ++b) {
      SCOPED_TRACE(::testing::Message() << "text " << b);
      const auto text = static_cast<std::int64_t>(b);
      const std::int64_t start = kVariants[b].first_changed;
      whole_rows[text].narrow(0, 0, start).zero_();
      EXPECT_TRUE(testing::near(rows[text], whole_rows[text], kTolerance, kTolerance));
      EXPECT_TRUE(at::equal(first_rows[text][0], rows[text][start]));
    }
  };
  EXPECT_EQ(first.target.size(1), 1);
  compare(got.target, first.target, expected.target);
  for (std::size_t i = 0; i < request.layers.size(); ++i) compare(got.layers[i], first.layers[i], expected.layers[i]);
}

TEST_P(SharedPrefixes, TakeEmbeddingsInPlaceOfIds) {
  Inputs inputs = variants();
  RandomTensors random(at::kFloat);
  Tensor embeddings = model->embed(inputs.target.ids.clamp_min(0), Side::target);
  for (std::size_t b = 0; b < kVariants.size(); ++b) {
    const std::int64_t start = kVariants[b].first_changed;
    Tensor own = embeddings[static_cast<std::int64_t>(b)].slice(0, start);
    own += random(own.sizes());
  }
  inputs.target_embeddings = embeddings;
  EXPECT_TRUE(testing::near(model->forward(inputs, sharing()).logits, model->forward(inputs, {asked()}).logits,
                            kTolerance, kTolerance));
}

INSTANTIATE_TEST_SUITE_P(Models, SharedPrefixes,
                         ::testing::Values("mistral_window", "qwen2_window", "llama_dynamic", "qwen3", "smollm3",
                                           "llama_bias", "llama_gguf", "bart", "marian", "m2m_100", "t5", "umt5"),
                         [](const auto& info) { return std::string(info.param); });

class SharedSource : public ::testing::Test {
 protected:
  std::unique_ptr<Model> model = load_model(folder_of("t5"));
  Forward base = model->forward({ids_of(*model, kBase), ids_of(*model, kSources)},
                                {positions({{-1}, {-1}}), false, false, false, /*keep_prefix=*/true});

  Inputs first_text(std::size_t source) const {
    return {ids_of(*model, {kBase[0]}), ids_of(*model, {kSources[source]})};
  }
  ForwardRequest sharing() const {
    ForwardRequest request{positions({{10, 7}}), false, false, /*trace=*/true};
    request.shared = {&base, at::tensor({0}, at::kLong), at::tensor({6}, at::kLong)};
    return request;
  }
};

TEST_F(SharedSource, IsRunOnce) {
  const Work before = model->work();
  const Forward forward = model->forward(first_text(0), sharing());
  const Work passed = model->work() - before;
  EXPECT_EQ(passed.forward_passes, 1);
  EXPECT_EQ(passed.forward_rows, 5);
  EXPECT_EQ(passed.head_rows, 2);
  model->pull_back(forward, {forward.logits}, {});
  EXPECT_EQ((model->work() - before).backward_rows, 5 + 2);
}

TEST_F(SharedSource, IsPulledBackOnlyWhereItIsRunAndWanted) {
  const Inputs inputs = first_text(0);
  const Forward whole = model->forward(inputs, {positions({{10, 7}}), false, false, /*trace=*/true});
  const Work before = model->work();
  model->pull_back(whole, {whole.logits}, {});
  EXPECT_EQ((model->work() - before).backward_rows, 11 + 8);
  PullBackRequest of_source;
  of_source.source = true;
  const Gradients both = model->pull_back(whole, {whole.logits}, of_source);
  EXPECT_EQ((model->work() - before).backward_rows, 2 * (11 + 8) + 2 * 5);
  EXPECT_TRUE(at::equal(both.target, model->pull_back(whole, {whole.logits}, {}).target));
  const Forward forward = model->forward(inputs, sharing());
  EXPECT_EQ(
      testing::text_of_error<std::invalid_argument>([&] { model->pull_back(forward, {forward.logits}, of_source); }),
      "a pass with a shared prefix does not run its sources, so they have no gradients");
}

TEST_F(SharedSource, MustBeAsLongAsThatOfTheBase) {
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>([&] { model->forward(first_text(1), sharing()); }),
            "a text has another source than the text it shares its beginning with");
}

/// A base that is itself asked for logits, captures and a trace keeps its prefix all the same.
TEST(SharedPrefix, GoesWithEverythingElseOfItsBase) {
  const auto model = load_model(own_model("qwen3"));
  const Forward plain = model->forward({pad(kBase)}, {positions({{3, 10}, {6, -1}})});
  const Forward base = model->forward({pad(kBase)}, {positions({{3, 10}, {6, -1}}), true, true, true, true});
  EXPECT_TRUE(at::equal(base.logits, plain.logits));
  ForwardRequest request{positions({{10}})};
  request.shared = {&base, at::tensor({0}, at::kLong), at::tensor({4}, at::kLong)};
  EXPECT_TRUE(testing::near(model->forward({pad({kBase[0]})}, request).logits[0][0], plain.logits[0][1], kTolerance,
                            kTolerance));
}

class MisusedPrefix : public ::testing::Test {
 protected:
  std::unique_ptr<Model> model = load_model(own_model("qwen3"));
  Forward base = model->forward({pad(kBase)}, {positions({{-1}, {-1}}), false, false, false, true});

  static Tensor longs(const std::vector<std::int64_t>& numbers) { return at::tensor(numbers, at::kLong); }
  /// What a pass over the second text of the base, asked at position 5, says of a shared prefix.
  std::string error(const SharedPrefix& shared, bool attentions = false, bool keep_prefix = false) const {
    ForwardRequest request{positions({{5}}), attentions, false, false, keep_prefix, shared};
    return testing::text_of_error<std::invalid_argument>([&] { model->forward({pad({kBase[1]})}, request); });
  }
};

TEST_F(MisusedPrefix, IsRefused) {
  EXPECT_EQ(error({&base, longs({1}), longs({5})}), "nothing was thrown");
  const std::string alone = "a pass with a shared prefix has neither captures nor a prefix to keep";
  EXPECT_EQ(error({&base, longs({1}), longs({5})}, /*attentions=*/true), alone);
  EXPECT_EQ(error({&base, longs({1}), longs({5})}, false, /*keep_prefix=*/true), alone);

  const std::string unkept = "a shared prefix needs a pass of this model that was asked to keep its own";
  const Forward traced = model->forward({pad(kBase)}, {positions({{-1}, {5}}), false, false, /*trace=*/true});
  EXPECT_EQ(error({&traced, longs({1}), longs({5})}), unkept);
  const Forward plain = model->forward({pad(kBase)}, {positions({{-1}, {5}})});
  EXPECT_EQ(error({&plain, longs({1}), longs({5})}), unkept);
  const auto other = load_model(own_model("qwen3"));
  const Forward foreign = other->forward({pad(kBase)}, {positions({{-1}, {-1}}), false, false, false, true});
  EXPECT_EQ(error({&foreign, longs({1}), longs({5})}), unkept);

  EXPECT_EQ(error({&base, {}, longs({5})}), "expected sequences of the base of int64, one for each text");
  EXPECT_EQ(error({&base, longs({1, 1}), longs({5})}), "expected sequences of the base of int64, one for each text");
  EXPECT_EQ(error({&base, longs({1}), longs({5}).to(at::kInt)}),
            "expected first changed rows of int64, one for each text");
  const std::string stranger = "a text shares its beginning with a text that the base does not have";
  EXPECT_EQ(error({&base, longs({2}), longs({5})}), stranger);
  EXPECT_EQ(error({&base, longs({-1}), longs({5})}), stranger);
  const std::string outside = "the first changed row of a text lies outside of it or of the base";
  EXPECT_EQ(error({&base, longs({1}), longs({7})}), outside);
  EXPECT_EQ(error({&base, longs({0}), longs({7})}), outside);
  EXPECT_EQ(error({&base, longs({1}), longs({-1})}), outside);
  EXPECT_EQ(error({&base, longs({1}), longs({6})}), "a position before the first changed row was asked for");
}

TEST_F(MisusedPrefix, OfOtherFrequenciesIsRefused) {
  // Texts beyond 12 tokens turn with frequencies of their own.
  const auto dynamic = load_model(own_model("llama_dynamic"));
  const TokenIds more(14, 5);
  const Forward shorter = dynamic->forward({pad({kBase[0]})}, {positions({{-1}}), false, false, false, true});
  ForwardRequest request{positions({{13}})};
  request.shared = {&shorter, longs({0}), longs({8})};
  EXPECT_EQ(testing::text_of_error<std::invalid_argument>([&] { dynamic->forward({pad({more})}, request); }),
            "a text turns with other frequencies than the text it shares its beginning with");
}

TEST_F(MisusedPrefix, OfFirstRowsAloneNeedsOne) {
  const Forward whole = model->forward({pad(kBase)}, {positions({{3}, {5}}), false, false, /*trace=*/true});
  PullBackRequest request;
  request.first_changed_only = true;
  const Tensor rows = model->pull_back(whole, {whole.logits}, request).target;
  EXPECT_TRUE(at::equal(rows.select(1, 0), model->pull_back(whole, {whole.logits}, {}).target.select(1, 0)));
}

}  // namespace
}  // namespace whence::transformer
