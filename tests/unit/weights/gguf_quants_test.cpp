#include "gguf_quants.h"

#include <gtest/gtest.h>

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "gguf_file.h"
#include "safetensors_file.h"

namespace whence::transformer {
namespace {

const std::string kData = WHENCE_TEST_DATA "/weights/";

class GgufQuants : public ::testing::TestWithParam<const char*> {};

TEST_P(GgufQuants, AgreesWithTheReferencePackage) {
  const GgufFile packed(kData + "quants.gguf");
  const SafetensorsFile expected(kData + "quants_expected.safetensors");
  ASSERT_EQ(packed.dtype(GetParam()), GetParam());
  const at::Tensor unpacked = packed.load(GetParam()), reference = expected.load(GetParam());
  EXPECT_EQ(unpacked.sizes(), (at::IntArrayRef{3, 512}));
  EXPECT_EQ(unpacked.scalar_type(), at::kFloat);
  EXPECT_LE((unpacked - reference).abs().max().item<float>(), 1e-6f);
}

TEST_P(GgufQuants, UnpacksAnyRunOfRowsAlone) {
  const GgufFile packed(kData + "quants.gguf");
  const RawTensor& raw = packed.raw(GetParam());
  const std::size_t row = raw.bytes.size() / 3;
  std::vector<float> second(512);
  dequantise(*raw.type, raw.bytes.subspan(row, row), second);
  const at::Tensor whole = packed.load(GetParam());
  const float* expected = whole.const_data_ptr<float>() + 512;
  EXPECT_EQ(second, std::vector<float>(expected, expected + 512));
}

INSTANTIATE_TEST_SUITE_P(EveryType, GgufQuants,
                         ::testing::Values("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K",
                                           "Q4_K", "Q5_K", "Q6_K"),
                         [](const auto& info) { return std::string(info.param); });

TEST(TensorType, UnpacksOnSeveralThreads) {
  // Enough for several threads; every number is its own index.
  const TensorType& type = *find_tensor_type("I32");
  std::vector<std::int32_t> numbers(1 << 18);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(i);
  std::vector<float> out(numbers.size());
  dequantise(type, std::as_bytes(std::span(numbers)), out);
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], static_cast<float>(i));
}

TEST(TensorType, RefusesAnOutputOfAnotherSize) {
  const std::vector<std::byte> block(18);
  std::vector<float> out(31);
  EXPECT_THROW(dequantise(*find_tensor_type("Q4_0"), block, out), std::invalid_argument);
  EXPECT_THROW(dequantise(*find_tensor_type("Q4_0"), std::span(block).first(17), out), std::invalid_argument);
}

TEST(TensorType, PackedBytesRefusesWhatDoesNotFit) {
  const auto bytes = [](std::string_view type, std::vector<std::int64_t> shape) {
    return packed_bytes(*find_tensor_type(type), shape);
  };
  EXPECT_EQ(bytes("F32", {2, 3}), 24u);
  EXPECT_EQ(bytes("F32", {}), 4u);
  EXPECT_EQ(bytes("Q4_1", {2, 64}), 80u);
  EXPECT_EQ(bytes("F32", {0, 1 << 20}), 0u);
  EXPECT_EQ(bytes("Q4_1", {2, 48}), std::nullopt);
  EXPECT_EQ(bytes("Q4_1", {}), std::nullopt);
  EXPECT_EQ(bytes("F32", {-1}), std::nullopt);
  EXPECT_EQ(bytes("F32", {std::int64_t{1} << 40, std::int64_t{1} << 40}), std::nullopt);
  EXPECT_EQ(bytes("F32", {0, std::int64_t{1} << 40, std::int64_t{1} << 40}), std::nullopt);
  EXPECT_EQ(bytes("U8", {std::int64_t{1} << 62}), std::nullopt) << "its float32 copy would overflow";
}

TEST(TensorType, IsUnknownByAnyOtherName) {
  EXPECT_EQ(find_tensor_type("IQ4_NL"), nullptr);
  EXPECT_EQ(find_tensor_type(""), nullptr);
  EXPECT_EQ(gguf_quants().size(), 10u);
}

}  // namespace
}  // namespace whence::transformer
