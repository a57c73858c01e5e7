#include "whence/result_json.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string data_file(const std::string& name) { return std::string(WHENCE_TEST_DATA) + "/results/" + name; }

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

bool same(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         at::equal(a.nan_to_num(-7.5), b.nan_to_num(-7.5)) && at::equal(a.isnan(), b.isnan());
}

bool same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  return std::ranges::equal(
      a, b, [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
}

void expect_same(const SequenceAttribution& a, const SequenceAttribution& b) {
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.source_labels, b.source_labels);
  EXPECT_EQ(a.target_labels, b.target_labels);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.granularity, b.granularity);
  EXPECT_EQ(a.step_score_merges, b.step_score_merges);
  EXPECT_TRUE(same(a.source_attributions, b.source_attributions));
  EXPECT_TRUE(same(a.target_attributions, b.target_attributions));
  EXPECT_TRUE(same(a.step_scores, b.step_scores));
  EXPECT_TRUE(same(a.sequence_scores, b.sequence_scores));
}

/// 3 prompt tokens, 2 explained ones; dims after T as given.
SequenceAttribution sequence_with(const std::vector<std::string>& granularity, const std::vector<std::int64_t>& dims) {
  SequenceAttribution sequence;
  sequence.target = {{"<s>", 1}, {"Ġthe", 4}, {"日本\"\\\n", 5}, {"a → b", -1}, {"e\u0301", 7}};
  sequence.source = {sequence.target.begin(), sequence.target.begin() + 3};
  sequence.target_labels = {{"prompt", {0, 3}},
                            {"", {3, 3}},
                            {"", {0, 1}, LabelKind::markup},
                            {"user", {1, 3}, LabelKind::content, 0},
                            {"assistant", {3, 5}, LabelKind::markup, 1}};
  sequence.steps = {3, 5};
  sequence.granularity = granularity;
  std::vector<std::int64_t> shape = {5, 2};
  shape.insert(shape.end(), dims.begin(), dims.end());
  std::int64_t count = 1;
  for (const auto dim : shape) count *= dim;
  sequence.target_attributions = (at::arange(count, at::kFloat) / 7.0 - 1.0).reshape(shape);
  sequence.target_attributions[4] = kNan;
  sequence.step_scores["probability"] = at::tensor({0.1f, 0.7f});
  sequence.step_scores["top_p_size"] = at::tensor({17024, 1}, at::kLong);
  sequence.step_scores["delta"] = at::tensor({0.1, kNan}, at::kDouble);
  sequence.step_score_merges = {{"probability", "prod"}};
  return sequence;
}

AttributionOutput output_with(std::vector<SequenceAttribution> sequences) { return {std::move(sequences), {}}; }

/// The one sequence of a written document, to be damaged.
json& attributes_of(json& document) { return document["attributes"]["sequence_attributions"][0]["attributes"]; }

json& extras_of(json& document) { return document["attributes"]["sequence_attributions"][0]["whence"]; }

json small_document() { return json::parse(to_result_json(output_with({sequence_with({"hidden"}, {4})}))); }

std::string error_of(const std::string& text) {
  return testing::text_of_error<InputError>([&] { from_result_json(text, "r.json"); });
}

std::string base64(const std::string& bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kLetters[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string blob(const std::string& header, std::size_t data_bytes, std::uint64_t declared) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &declared, 8);
  return base64(bytes + header + std::string(data_bytes, '\0'));
}

std::string blob_error(const std::string& text) {
  json document = small_document();
  attributes_of(document)["target_attributions"] = text;
  const std::string error = error_of(document.dump());
  const std::string place = "r.json: attributes.sequence_attributions[0].attributes.target_attributions: ";
  EXPECT_TRUE(error.starts_with(place)) << error;
  return error.substr(std::min(place.size(), error.size()));
}

std::string header_error(const std::string& header, std::size_t data_bytes = 0) {
  return blob_error(blob(header, data_bytes, header.size()));
}

TEST(ResultJson, RoundTripKeepsEverything) {
  SequenceAttribution both = sequence_with({}, {});
  both.source = {{"▁x", 9}, {"</s>", 2}};
  both.source_attributions = at::full({2, 2}, 0.25);
  both.source_labels = {{"passage", {0, 2}}};
  both.sequence_scores["encoder_self_attentions"] = at::full({2, 2, 3}, -1.0);
  AttributionOutput output =
      output_with({sequence_with({"hidden"}, {4}), sequence_with({}, {}), sequence_with({"layer"}, {2}),
                   sequence_with({"layer", "head"}, {2, 3}), sequence_with({"layer", "hidden"}, {2, 3}), both});
  const AttributionOutput read = from_result_json(to_result_json(output), "r.json");
  ASSERT_EQ(read.sequences.size(), output.sequences.size());
  for (std::size_t i = 0; i < output.sequences.size(); ++i) expect_same(output.sequences[i], read.sequences[i]);
}

TEST(ResultJson, NoSequencesAndNoScores) {
  EXPECT_TRUE(from_result_json(to_result_json({}), "r.json").sequences.empty());
  SequenceAttribution empty;
  empty.target = {{"a", 1}};
  empty.steps = {1, 1};
  const AttributionOutput read = from_result_json(to_result_json(output_with({empty})), "r.json");
  expect_same(read.sequences.at(0), empty);
}

TEST(ResultJson, InfoKeepsEveryTypeAndDigit) {
  AttributionOutput output;
  const double infinity = std::numeric_limits<double>::infinity();
  output.info = {{"attribute_target", Value(true)},
                 {"attribution_args", Value(Value::Map{{"n_steps", Value(std::int64_t{20})}})},
                 {"big", Value(std::numeric_limits<std::int64_t>::min())},
                 {"exec_time", Value(0.1 + 0.2)},
                 {"infinities", Value(Value::List{Value(infinity), Value(-infinity)})},
                 {"text", Value(std::string("NaN, number:NaN, -Infinity \u2028 \"\\ 日本"))},
                 {"tiny", Value(5e-324)},
                 {"tokenizer_name", Value()},
                 {"whole", Value(2.0)},
                 {"zero", Value(-0.0)}};
  const Value::Map read = from_result_json(to_result_json(output), "r.json").info;
  EXPECT_EQ(Value(read), Value(output.info));
  EXPECT_TRUE(std::signbit(read.back().second.as_double()));

  output.info = {{"x", Value(kNan)}};
  EXPECT_NE(to_result_json(output).find("\"x\": NaN\n"), std::string::npos);
  EXPECT_TRUE(std::isnan(from_result_json(to_result_json(output), "r.json").info.at(0).second.as_double()));
}

TEST(ResultJson, ClassesFollowGranularity) {
  const auto class_of = [](const SequenceAttribution& sequence) {
    const json document = json::parse(to_result_json(output_with({sequence})));
    const json& written = document["attributes"]["sequence_attributions"][0];
    EXPECT_EQ(written["__instance_type__"][0], "inseq.data.attribution");
    return written["__instance_type__"][1].get<std::string>() + " " +
           written["attributes"].value("_num_dimensions", json()).dump();
  };
  EXPECT_EQ(class_of(sequence_with({}, {})), "CoarseFeatureAttributionSequenceOutput null");
  EXPECT_EQ(class_of(sequence_with({"hidden"}, {4})), "GranularFeatureAttributionSequenceOutput null");
  EXPECT_EQ(class_of(sequence_with({"layer"}, {2})), "MultiDimensionalFeatureAttributionSequenceOutput 1");
  EXPECT_EQ(class_of(sequence_with({"layer", "head"}, {2, 2})), "MultiDimensionalFeatureAttributionSequenceOutput 2");
}

TEST(ResultJson, TextIsAsciiWithSortedKeys) {
  const std::string text = to_result_json(output_with({sequence_with({}, {})}));
  EXPECT_TRUE(std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; }));
  EXPECT_TRUE(text.starts_with("{\n    \"__instance_type__\": [\n        \"inseq.data.attribution\",\n"));
  EXPECT_LT(text.find("\"attr_pos_start\""), text.find("\"source\""));
  EXPECT_NE(text.find("\"token\": \"\\u0120the\""), std::string::npos);
  const json written = json::parse(text);
  EXPECT_TRUE(written["attributes"]["step_attributions"].is_null());
}

TEST(ResultJson, LowerPrecisionRoundsAttributionsOnly) {
  const SequenceAttribution sequence = sequence_with({"hidden"}, {4});
  const auto read = [&](ScoresPrecision precision) {
    return from_result_json(to_result_json(output_with({sequence}), precision), "r.json").sequences.at(0);
  };
  const SequenceAttribution half = read(ScoresPrecision::float16), eighth = read(ScoresPrecision::float8);
  EXPECT_EQ(half.target_attributions.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::allclose(half.target_attributions, sequence.target_attributions, 1e-3, 1e-4, true));
  EXPECT_TRUE(at::allclose(eighth.target_attributions, sequence.target_attributions, 0.07, 1e-2, true));
  EXPECT_FALSE(same(half.target_attributions, sequence.target_attributions));
  EXPECT_TRUE(same(half.step_scores, sequence.step_scores));
  EXPECT_TRUE(same(eighth.step_scores, sequence.step_scores));
}

TEST(ResultJson, ScoresTooLargeForThePrecisionAreRefused) {
  SequenceAttribution sequence = sequence_with({}, {});
  sequence.target_attributions[0][0] = -450.0;
  try {
    to_result_json(output_with({sequence}), ScoresPrecision::float8);
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "scores of the target reach 450.0, more than float8 can hold (448); save them as float32");
  }
  EXPECT_NO_THROW(to_result_json(output_with({sequence}), ScoresPrecision::float16));
}

// Files that the reference toolkit wrote (tools/fixtures/make_reference_result.py).

void expect_tensor(const Tensor& tensor, const json& expected) {
  ASSERT_EQ(tensor.defined(), !expected.is_null());
  if (!tensor.defined()) return;
  EXPECT_EQ(tensor.sizes().vec(), expected["shape"].get<std::vector<std::int64_t>>());
  EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), expected["holes"].get<std::int64_t>());
  EXPECT_NEAR(tensor.to(at::kDouble).nansum().item<double>(), expected["sum"].get<double>(), 1e-9);
  EXPECT_EQ(tensor.flatten()[0].item<double>(), expected["first"].get<double>());
}

void expect_tokens(const std::vector<Token>& tokens, const json& expected) {
  ASSERT_EQ(tokens.size(), expected.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i].text, expected[i][0].get<std::string>());
    EXPECT_EQ(tokens[i].id, expected[i][1].get<std::int64_t>());
  }
}

struct ReferenceFile {
  std::string name, suffix;
  std::vector<std::string> granularity;
};

class ReferenceFiles : public ::testing::TestWithParam<ReferenceFile> {};

TEST_P(ReferenceFiles, AreReadInFull) {
  const auto& [name, suffix, granularity] = GetParam();
  const AttributionOutput output = from_result_json(read_file(data_file(name + suffix)), name);
  const json expected = json::parse(read_file(data_file(name + ".expected.json")));
  ASSERT_EQ(output.sequences.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const SequenceAttribution& sequence = output.sequences[i];
    EXPECT_EQ(sequence.granularity, granularity);
    expect_tokens(sequence.source, expected[i]["source"]);
    expect_tokens(sequence.target, expected[i]["target"]);
    EXPECT_EQ(sequence.steps, (Span{expected[i]["steps"][0], expected[i]["steps"][1]}));
    expect_tensor(sequence.source_attributions, expected[i]["source_attributions"]);
    expect_tensor(sequence.target_attributions, expected[i]["target_attributions"]);
    ASSERT_EQ(sequence.step_scores.size(), expected[i]["step_scores"].size());
    for (const auto& [score, values] : sequence.step_scores) {
      const auto numbers = expected[i]["step_scores"].at(score).get<std::vector<double>>();
      EXPECT_TRUE(at::equal(values.to(at::kDouble), at::tensor(numbers, at::kDouble))) << score;
    }
    ASSERT_EQ(sequence.sequence_scores.size(), expected[i]["sequence_scores"].size());
    for (const auto& [score, values] : sequence.sequence_scores)
      expect_tensor(values, expected[i]["sequence_scores"].at(score));
  }
}

TEST_P(ReferenceFiles, RoundTripThroughOurWriter) {
  const auto& [name, suffix, granularity] = GetParam();
  const AttributionOutput output = from_result_json(read_file(data_file(name + suffix)), name);
  const AttributionOutput again = from_result_json(to_result_json(output), name);
  EXPECT_EQ(Value(again.info), Value(output.info));
  EXPECT_EQ(output.info.size(), 21u);
  for (std::size_t i = 0; i < output.sequences.size(); ++i) expect_same(output.sequences[i], again.sequences[i]);
}

INSTANTIATE_TEST_SUITE_P(ResultJson, ReferenceFiles,
                         ::testing::Values(ReferenceFile{"reference_saliency", ".json", {"hidden"}},
                                           ReferenceFile{"reference_saliency_float16", ".json.gz", {"hidden"}},
                                           ReferenceFile{"reference_saliency_float8", ".json.gz", {"hidden"}},
                                           ReferenceFile{"reference_aggregated", ".json", {}},
                                           ReferenceFile{"reference_attention", ".json.gz", {"layer", "head"}},
                                           ReferenceFile{"reference_encoder_decoder", ".json.gz", {"layer", "head"}}),
                         [](const auto& info) { return info.param.name; });

TEST(ResultJson, SmallestFileOfTheReference) {
  json document = small_document();
  document["attributes"].erase("info");
  document["attributes"].erase("step_attributions");
  json& attributes = attributes_of(document);
  for (const char* key : {"attr_pos_end", "source", "source_attributions", "step_scores", "sequence_scores"})
    attributes.erase(key);
  document["attributes"]["sequence_attributions"][0].erase("whence");
  attributes["target"][0]["attributes"].erase("id");
  const AttributionOutput output = from_result_json(document.dump(), "r.json");
  EXPECT_EQ(output.sequences[0].steps, (Span{3, 5}));
  EXPECT_EQ(output.sequences[0].target[0], (Token{"<s>", -1}));
  EXPECT_EQ(output.sequences[0].granularity, std::vector<std::string>{"hidden"});
}

TEST(BadResult, NotJson) {
  EXPECT_EQ(error_of(""), "r.json:1: the text ends early; the file is cut off or no result file");
  EXPECT_EQ(error_of("{\"a\":\n1"), "r.json:2: the text ends early; the file is cut off or no result file");
  EXPECT_EQ(error_of("hello"), "r.json:1: not JSON; the file is cut off or no result file");
  EXPECT_EQ(error_of("{\n\n 'a': 1}"), "r.json:3: not JSON; the file is cut off or no result file");
  EXPECT_EQ(error_of("{\"a\": 1e999}"), "r.json: holds a number too large to read");
  EXPECT_EQ(error_of("{\"a\": \"\xff\"}"), "r.json:1: not JSON; the file is cut off or no result file");
  EXPECT_EQ(error_of(std::string("\x1f\x8b\x08", 3)), "r.json: the gzip data ends early; the file is cut off");
}

TEST(BadResult, EveryTruncationIsOneError) {
  const std::string text = to_result_json(output_with({sequence_with({}, {})}));
  for (std::size_t size = 0; size + 2 < text.size(); size += 7)
    EXPECT_NE(error_of(text.substr(0, size)), "nothing was thrown") << size;
  const std::string zipped = read_file(data_file("reference_attention.json.gz"));
  for (std::size_t size = 0; size < zipped.size(); size += 97)
    EXPECT_NE(error_of(zipped.substr(0, size)), "nothing was thrown") << size;
}

TEST(BadResult, ChangedBytesAreReadOrRefused) {
  const std::string text = to_result_json(output_with({sequence_with({"hidden"}, {4})}));
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (int i = 0; i < 1 + round % 4; ++i)
      changed[random() % changed.size()] = "\"{}[],:0-9eNA=/\\ \x80"[random() % 19];
    try {
      from_result_json(changed, "r.json");
    } catch (const InputError&) {
    }
  }
}

TEST(BadResult, AnotherDocument) {
  EXPECT_EQ(error_of("[]"), "r.json: expected an object, found array");
  EXPECT_EQ(error_of("{}"), "r.json: '__instance_type__' is missing");
  EXPECT_EQ(
      error_of(R"({"__instance_type__": ["os", "system"], "attributes": {}})"),
      "r.json: __instance_type__: unknown class 'os.system', expected inseq.data.attribution.FeatureAttributionOutput");
  EXPECT_EQ(error_of(R"({"__instance_type__": ["\u001b[2J", "\u202e"], "attributes": {}})"),
            "r.json: __instance_type__: unknown class '\\u001b[2J.\\u202e', expected "
            "inseq.data.attribution.FeatureAttributionOutput")
      << "names from files reach the terminal as escapes";
  json document = small_document();
  document["attributes"]["sequence_attributions"] = 5;
  EXPECT_EQ(error_of(document.dump()), "r.json: attributes.sequence_attributions: expected a list, found number");
  document["attributes"].erase("sequence_attributions");
  EXPECT_EQ(error_of(document.dump()), "r.json: attributes: 'sequence_attributions' is missing");
}

TEST(BadResult, SequenceOfAnotherClass) {
  json document = small_document();
  document["attributes"]["sequence_attributions"][0]["__instance_type__"] = {"inseq.data.attribution", "Popen"};
  EXPECT_EQ(
      error_of(document.dump()),
      "r.json: attributes.sequence_attributions[0].__instance_type__: unknown class 'inseq.data.attribution.Popen', "
      "expected "
      "one of inseq.data.attribution.CoarseFeatureAttributionSequenceOutput, GranularFeatureAttributionSequenceOutput, "
      "MultiDimensionalFeatureAttributionSequenceOutput, FeatureAttributionSequenceOutput");
}

TEST(BadResult, TokensAndPositions) {
  const std::string sequence_place = "r.json: attributes.sequence_attributions[0]",
                    place = sequence_place + ".attributes";
  json document = small_document();
  attributes_of(document)["target"][1] = {{"token", "x"}, {"id", 1}};
  EXPECT_EQ(error_of(document.dump()), place + ".target[1]: '__instance_type__' is missing");
  document = small_document();
  attributes_of(document)["target"][1]["attributes"]["id"] = "4";
  EXPECT_EQ(error_of(document.dump()), place + ".target[1].attributes.id: expected an integer, found string");
  document = small_document();
  attributes_of(document)["target"][1]["attributes"]["id"] = std::uint64_t{1} << 63;
  EXPECT_EQ(error_of(document.dump()), place + ".target[1].attributes.id: expected an integer, found number");
  document = small_document();
  attributes_of(document)["attr_pos_end"] = 6;
  EXPECT_EQ(error_of(document.dump()), place + ": explains positions 3 to 6 of 5 target tokens");
  attributes_of(document)["attr_pos_end"] = 2;
  EXPECT_EQ(error_of(document.dump()), place + ": explains positions 3 to 2 of 5 target tokens");
  attributes_of(document)["attr_pos_start"] = -1;
  EXPECT_EQ(error_of(document.dump()), place + ": explains positions -1 to 2 of 5 target tokens");
  document = small_document();
  extras_of(document)["target_labels"][0]["end"] = 6;
  EXPECT_EQ(error_of(document.dump()), sequence_place + ".whence.target_labels[0]: label from 0 to 6 of 5 tokens");
  document = small_document();
  extras_of(document)["target_labels"][3]["kind"] = "template";
  EXPECT_EQ(
      error_of(document.dump()),
      sequence_place + ".whence.target_labels[3].kind: 'template' is no kind of label; expected content or markup");
}

TEST(BadResult, TensorsThatDoNotFit) {
  const std::string sequence_place = "r.json: attributes.sequence_attributions[0]",
                    place = sequence_place + ".attributes";
  json document = small_document();
  attributes_of(document)["target"].erase(4);
  attributes_of(document)["attr_pos_end"] = 4;
  EXPECT_EQ(error_of(document.dump()),
            place + ".target_attributions: tensor [5,2,4] does not fit its tokens, expected [4,1,...]");
  document = small_document();
  attributes_of(document)["step_scores"]["probability"] = attributes_of(document)["target_attributions"];
  EXPECT_EQ(error_of(document.dump()),
            place + ".step_scores.probability: tensor [5,2,4], expected [2], one number per step");
  document = small_document();
  attributes_of(document)["sequence_scores"]["m"] = attributes_of(document)["step_scores"]["probability"];
  EXPECT_EQ(error_of(document.dump()), place + ".sequence_scores.m: tensor [2], expected two or more dims");
  document = small_document();
  extras_of(document)["granularity"] = {"layer", "head"};
  EXPECT_EQ(error_of(document.dump()),
            sequence_place + ".whence.granularity: names 2 dims, the tensors have 1 beyond tokens and steps");
  document["attributes"]["sequence_attributions"][0].erase("whence");
  document["attributes"]["sequence_attributions"][0]["__instance_type__"][1] = "CoarseFeatureAttributionSequenceOutput";
  EXPECT_EQ(error_of(document.dump()), sequence_place +
                                           ": tensors with 1 dims beyond tokens and steps, a "
                                           "CoarseFeatureAttributionSequenceOutput has at most 0");
  document = small_document();
  attributes_of(document)["target_attributions"] = {{"__ndarray__", "b64:"}, {"dtype", "float32"}};
  EXPECT_EQ(error_of(document.dump()),
            place +
                ".target_attributions: an array as releases before the safetensors encoding wrote "
                "it; save the result again with a newer one");
}

TEST(BadResult, Base64) {
  EXPECT_EQ(blob_error("AAA"), "base64 text of 3 letters, expected a multiple of 4; the file is cut off or damaged");
  EXPECT_EQ(blob_error("AAA\nAAAA"), "letter 3 is not base64; the file is damaged");
  EXPECT_EQ(blob_error("A=AAAAAA"), "letter 1 is not base64; the file is damaged");
  EXPECT_EQ(blob_error("===="), "letter 0 is not base64; the file is damaged");
  EXPECT_EQ(blob_error(""), "tensor of 0 bytes, too short for a header");
  EXPECT_EQ(blob_error("AAAA"), "tensor of 3 bytes, too short for a header");
}

TEST(BadResult, BlobHeaders) {
  const std::string lie = "the tensor's header is declared ";
  EXPECT_EQ(blob_error(blob("{}", 0, 3)), lie + "3 bytes long, but 2 follow; the file is cut off or damaged");
  EXPECT_EQ(blob_error(blob("{}", 0, ~std::uint64_t{0})),
            lie + "18446744073709551615 bytes long, but 2 follow; the file is cut off or damaged");
  EXPECT_EQ(header_error("[1]"), "the header of the tensor is no JSON object; the file is damaged");
  EXPECT_EQ(header_error("{]"), "the header of the tensor is no JSON object; the file is damaged");
  EXPECT_EQ(header_error("{}"), "expected exactly one tensor, called 'attribution'");
  const std::string tensor = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_EQ(header_error(R"({"attribution":)" + tensor + R"(,"b":)" + tensor + "}", 4),
            "expected exactly one tensor, called 'attribution'");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"F32","shape":[1]}})", 4),
            "the tensor's header lacks dtype, shape or data_offsets");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}})", 4),
            "tensor of unknown type 'Q4', expected one of F32, F16, BF16, F8_E4M3, F64, I64");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
            "dim -1 of the tensor is no count");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4),
            "tensor with 9 dims, at most 8 are expected");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
            "data_offsets [4,8], expected 0 and the size of the tensor");
  EXPECT_EQ(header_error(R"({"attribution":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
            "the header declares F32 [2] at [0,8], but 4 bytes of data follow; the file is cut off or damaged");
  const std::string huge = R"({"attribution":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})";
  EXPECT_EQ(header_error(huge),
            "the header declares F32 [4294967296,4294967296] at [0,0], but 0 bytes of data follow; the file is "
            "cut off or damaged");
}

TEST(BadResult, InfoNestedTooDeep) {
  std::string text = to_result_json({});
  const std::string key = "\"info\": {}";
  text.replace(text.find(key), key.size(),
               "\"info\": {\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}");
  EXPECT_EQ(error_of(text), "r.json: attributes.info: nested deeper than 64 levels");
}

}  // namespace
}  // namespace whence
