#include "gguf_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "gguf_vocabulary.h"
#include "scratch_files.h"

namespace whence::transformer {
namespace {

using testing::error_of;
using testing::gguf_string;
using testing::raw_bytes;

enum ValueType : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };
constexpr std::uint32_t kTypeF32 = 0, kTypeQ4_0 = 2, kTypeIq4Nl = 20;

/// Builds GGUF files, right and wrong ones: each part can be replaced by whatever bytes.
struct Builder {
  std::string magic = "GGUF", version = raw_bytes<std::uint32_t>(3);
  std::uint64_t keys = 0, tensors = 0;
  std::string metadata, entries, data;

  Builder& key(std::string_view name, std::uint32_t type, const std::string& value) {
    ++keys;
    metadata += gguf_string(name) + raw_bytes(type) + value;
    return *this;
  }
  template <class Number>
  requires std::is_arithmetic_v<Number> Builder& key(std::string_view name, std::uint32_t type, Number value) {
    return key(name, type, raw_bytes(value));
  }
  Builder& array(std::string_view name, std::uint32_t type, std::uint64_t count, const std::string& elements) {
    return key(name, kArray, raw_bytes(type) + raw_bytes(count) + elements);
  }
  /// `dimensions` in the order of the file, the fastest first.
  Builder& tensor(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& dimensions,
                  std::uint64_t offset) {
    ++tensors;
    entries += gguf_string(name) + raw_bytes(static_cast<std::uint32_t>(dimensions.size()));
    for (const std::uint64_t size : dimensions) entries += raw_bytes(size);
    entries += raw_bytes(type) + raw_bytes(offset);
    return *this;
  }
  std::string bytes(std::size_t alignment = 32) const {
    std::string file = magic + version + raw_bytes(tensors) + raw_bytes(keys) + metadata + entries;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

Builder small_file() {
  Builder builder;
  builder.key("general.architecture", kString, gguf_string("llama"))
      .key("llama.block_count", kU32, std::uint32_t{2})
      .array("tokens", kString, 2, gguf_string("a") + gguf_string("b"))
      .tensor("matrix", kTypeF32, {2, 3}, 0)
      .tensor("vector", kTypeF32, {4}, 32);
  builder.data = std::string(48, '\0');
  return builder;
}

class GgufFileTest : public testing::ScratchTest {
 protected:
  GgufFile open(const Builder& builder) const { return GgufFile(write("model.gguf", builder.bytes())); }
  std::string open_error(std::string_view bytes) const {
    const auto path = write("model.gguf", bytes);
    return error_of(path, [&] { GgufFile file(path); });
  }
  std::string open_error(const Builder& builder) const { return open_error(builder.bytes()); }
};

TEST_F(GgufFileTest, ReadsEveryTypeOfMetadata) {
  const std::string inner = raw_bytes<std::uint32_t>(kI16) + raw_bytes<std::uint64_t>(2) + raw_bytes<std::int16_t>(-7) +
                            raw_bytes<std::int16_t>(8);
  const GgufFile file = open(Builder()
                                 .key("u8", kU8, std::uint8_t{200})
                                 .key("i8", kI8, std::int8_t{-3})
                                 .key("u16", kU16, std::uint16_t{60000})
                                 .key("i16", kI16, std::int16_t{-300})
                                 .key("u32", kU32, std::uint32_t{4000000000})
                                 .key("i32", kI32, std::int32_t{-70000})
                                 .key("u64", kU64, std::uint64_t{1} << 40)
                                 .key("huge", kU64, std::numeric_limits<std::uint64_t>::max())
                                 .key("i64", kI64, std::int64_t{-1} << 40)
                                 .key("f32", kF32, 1.5f)
                                 .key("f64", kF64, 0.1)
                                 .key("bool", kBool, std::uint8_t{1})
                                 .key("string", kString, gguf_string("text"))
                                 .array("floats", kF32, 2, raw_bytes(0.5f) + raw_bytes(2.0f))
                                 .array("bools", kBool, 2, std::string("\0\1", 2))
                                 .array("strings", kString, 2, gguf_string("") + gguf_string("b"))
                                 .array("nested", kArray, 2, inner + inner)
                                 .array("empty", kF64, 0, ""));
  EXPECT_EQ(file.get<std::int64_t>("u8"), 200);
  EXPECT_EQ(file.get<std::int64_t>("i8"), -3);
  EXPECT_EQ(file.get<std::int64_t>("u16"), 60000);
  EXPECT_EQ(file.get<std::int64_t>("i16"), -300);
  EXPECT_EQ(file.get<std::int64_t>("u32"), 4000000000);
  EXPECT_EQ(file.get<std::int64_t>("i32"), -70000);
  EXPECT_EQ(file.get<std::int64_t>("u64"), std::int64_t{1} << 40);
  EXPECT_EQ(file.get<std::int64_t>("i64"), -(std::int64_t{1} << 40));
  EXPECT_EQ(file.get<double>("huge"), 18446744073709551616.0);
  EXPECT_EQ(file.get<double>("f32"), 1.5);
  EXPECT_EQ(file.get<double>("f64"), 0.1);
  EXPECT_EQ(file.get<double>("u8"), 200.0);
  EXPECT_EQ(file.get<bool>("bool"), true);
  EXPECT_EQ(file.get<std::string>("string"), "text");
  EXPECT_EQ(file.get<std::vector<double>>("floats"), (std::vector<double>{0.5, 2}));
  EXPECT_EQ(file.get<std::vector<bool>>("bools"), (std::vector<bool>{false, true}));
  EXPECT_EQ(file.get<std::vector<std::string>>("strings"), (std::vector<std::string>{"", "b"}));
  EXPECT_EQ(file.get<std::vector<std::string>>("empty"), std::vector<std::string>());
  const auto& nested = std::get<GgufValue::Array>(file.metadata().find("nested")->second.data);
  EXPECT_EQ(std::get<std::int64_t>(std::get<GgufValue::Array>(nested.at(1).data).at(0).data), -7);
  EXPECT_EQ(file.get<bool>("absent"), std::nullopt);
}

TEST_F(GgufFileTest, GettersNameWhatTheyExpected) {
  const GgufFile file = open(small_file().key("huge", kU64, std::numeric_limits<std::uint64_t>::max()));
  const auto error = [&](const auto& action) { return error_of(file.path(), action); };
  EXPECT_EQ(error([&] { file.get<std::string>("llama.block_count"); }),
            "metadata 'llama.block_count' is an integer, expected a string; convert the model again");
  EXPECT_EQ(error([&] { file.get<std::vector<double>>("tokens"); }),
            "metadata 'tokens' is an array, expected an array of numbers; convert the model again");
  EXPECT_EQ(error([&] { file.get<std::int64_t>("huge"); }),
            "metadata 'huge' is an integer beyond 64 signed bits, expected an integer; convert the model again");
  EXPECT_EQ(error([&] { file.require<std::int64_t>("llama.context_length"); }),
            "metadata 'llama.context_length' is missing, expected an integer; convert the model again");
  EXPECT_EQ(file.require<std::int64_t>("llama.block_count"), 2);
}

TEST_F(GgufFileTest, LooksIntoTheFileForF32) {
  Builder builder = small_file();
  const float numbers[] = {1, 2, 3, 4, 5, 6};
  builder.data.replace(0, sizeof numbers, reinterpret_cast<const char*>(numbers), sizeof numbers);
  at::Tensor matrix;
  {
    const GgufFile file = open(builder);
    EXPECT_EQ(file.description(), file.path().string() + " (GGUF v3, 2 tensors, 0.0 MiB)");
    EXPECT_EQ(file.names(), (std::vector<std::string>{"matrix", "vector"}));
    EXPECT_EQ(file.shape("matrix"), (std::vector<std::int64_t>{3, 2}));
    EXPECT_EQ(file.dtype("matrix"), "F32");
    EXPECT_EQ(file.byte_size("vector"), 16u);
    matrix = file.load("matrix");
    EXPECT_EQ(matrix.const_data_ptr(), file.raw("matrix").bytes.data());
  }
  EXPECT_EQ(matrix[2][1].item<float>(), 6) << "the tensor keeps the file mapped";
}

TEST_F(GgufFileTest, ReadsVersion2AndOtherAlignments) {
  Builder builder = small_file().key("general.alignment", kU32, std::uint32_t{64});
  builder.version = raw_bytes<std::uint32_t>(2);
  builder.entries.clear();
  builder.tensors = 0;
  builder.tensor("vector", kTypeF32, {2}, 64);
  builder.data = std::string(64, 'x') + raw_bytes(1.0f) + raw_bytes(2.0f);
  const GgufFile file(write("model.gguf", builder.bytes(64)));
  EXPECT_EQ(file.version(), 2);
  EXPECT_EQ(file.load("vector")[1].item<float>(), 2);
}

TEST_F(GgufFileTest, RefusesWhatIsNoGguf) {
  const auto missing = folder() / "absent.gguf";
  EXPECT_EQ(error_of(missing, [&] { GgufFile file(missing); }), "no such file; check the path of the model");
  EXPECT_EQ(error_of(folder(), [&] { GgufFile file(folder()); }), "not a regular file; name a checkpoint file");
  EXPECT_EQ(open_error(""), "truncated: the header needs 4 bytes at offset 0, 0 are left; get the file again");
  EXPECT_EQ(open_error("GGML and more bytes"), "the header does not begin with 'GGUF'; name a GGUF file");
  Builder builder = small_file();
  builder.version = raw_bytes<std::uint32_t>(1);
  EXPECT_EQ(open_error(builder), "the header says GGUF version 1, expected 2 or 3; convert the model again");
  builder.version = std::string("\0\0\0\3", 4);
  EXPECT_EQ(open_error(builder), "the header is of a big-endian GGUF file; convert it to little-endian");
}

TEST_F(GgufFileTest, RefusesAFileCutAnywhere) {
  const std::string whole = small_file().bytes();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(open_error(whole.substr(0, size)).substr(0, 11), "truncated: ") << size << " bytes";
}

TEST_F(GgufFileTest, RefusesAbsurdCounts) {
  Builder builder = small_file();
  builder.tensors = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(open_error(builder),
            "the number of tensors announces 18446744073709551615 entries, at most 1048576 are plausible; the file is "
            "damaged, get it again");
  builder = small_file();
  builder.tensors = 1000;
  EXPECT_EQ(open_error(builder).substr(0, 87),
            "truncated: the number of tensors needs at least 24 bytes for each of 1000 entries at of");
  builder = small_file();
  builder.keys = std::uint64_t{1} << 63;
  EXPECT_EQ(
      open_error(builder),
      "the number of metadata keys announces 9223372036854775808 entries, at most 1048576 are plausible; the file "
      "is damaged, get it again");
  EXPECT_EQ(
      open_error(Builder().array("list", kU8, std::uint64_t{1} << 60, "")),
      "metadata 'list' announces 1152921504606846976 entries, at most 16777216 are plausible; the file is damaged, "
      "get it again");
  EXPECT_EQ(open_error(Builder().array("list", kF64, 1 << 20, "")).substr(0, 81),
            "truncated: metadata 'list' needs at least 8 bytes for each of 1048576 entries at ");
  const std::string endless = raw_bytes(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(open_error(Builder().key("text", kString, endless)).substr(0, 60),
            "truncated: metadata 'text' needs 18446744073709551615 bytes ");
}

TEST_F(GgufFileTest, RefusesDamagedMetadata) {
  EXPECT_EQ(open_error(Builder().key("odd", 13, "")),
            "metadata 'odd' has value type 13, expected 0 to 12; the file is damaged, get it again");
  EXPECT_EQ(open_error(Builder().key("flag", kBool, std::uint8_t{2})),
            "metadata 'flag' holds the boolean 2, expected 0 or 1; the file is damaged");
  EXPECT_EQ(open_error(small_file().key("tokens", kU8, std::uint8_t{2})),
            "metadata 'tokens' occurs twice; the file is damaged, get it again");
  EXPECT_EQ(
      open_error(small_file().key("general.alignment", kU32, std::uint32_t{48})),
      "metadata 'general.alignment' is 48, expected a power of two from 8 to 1048576; the file is damaged, get it "
      "again");
  EXPECT_EQ(open_error(small_file().key("split.count", kU16, std::uint16_t{3})),
            "metadata 'split.count' says the model is split over 3 files, which is not supported; merge them with "
            "'llama-gguf-split --merge'");
  std::string nested;
  for (int i = 0; i < 20; ++i) nested += raw_bytes<std::uint32_t>(kArray) + raw_bytes<std::uint64_t>(1);
  EXPECT_EQ(open_error(Builder().key("deep", kArray, nested)),
            "metadata 'deep' nests arrays deeper than 8 levels; the file is damaged, get it again");
}

TEST_F(GgufFileTest, RefusesDamagedTensors) {
  EXPECT_EQ(open_error(small_file().tensor("new", kTypeIq4Nl, {32}, 0)),
            "tensor 'new' has type IQ4_NL, which is not supported; supported: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
            "Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, I8, I16, I32, I64, F64, BF16");
  EXPECT_EQ(open_error(small_file().tensor("new", 99, {32}, 0)).substr(0, 56),
            "tensor 'new' has type number 99, which is not supported;");
  EXPECT_EQ(open_error(small_file().tensor("flat", kTypeF32, {1, 1, 1, 1, 1}, 0)),
            "tensor 'flat' has 5 dimensions, expected at most 4; the file is damaged, get it again");
  EXPECT_EQ(open_error(small_file().tensor("big", kTypeF32, {std::uint64_t{1} << 62, 16}, 0)),
            "tensor 'big' has the shape [16, 4611686018427387904], which is beyond all limits or has rows that are no "
            "multiple of 1, the block of F32; the file is damaged, get it again");
  EXPECT_EQ(
      open_error(small_file().tensor("ragged", kTypeQ4_0, {40}, 0)),
      "tensor 'ragged' has the shape [40], which is beyond all limits or has rows that are no multiple of 32, the "
      "block of Q4_0; the file is damaged, get it again");
  EXPECT_EQ(
      open_error(small_file().tensor("odd", kTypeF32, {1}, 33)),
      "tensor 'odd' begins at offset 33 of the data, expected a multiple of 32; the file is damaged, get it again");
  EXPECT_EQ(open_error(small_file().tensor("far", kTypeF32, {1}, std::uint64_t{1} << 63)),
            "truncated: tensor 'far' needs 4 bytes from offset 9223372036854775808 of the data, which has 48; get the "
            "file again");
  EXPECT_EQ(open_error(small_file().tensor("matrix", kTypeF32, {1}, 32)),
            "tensor 'matrix' occurs twice; the file is damaged, get it again");
  EXPECT_EQ(open_error(small_file().tensor("late", kTypeF32, {2}, 32)),
            "tensors 'late' and 'vector' overlap: bytes 32 to 40 and 32 to 48 of the data; the file is damaged, get it "
            "again");
}

TEST_F(GgufFileTest, NamesTheNearestTensorAndHidesControlCharacters) {
  const GgufFile file = open(small_file());
  EXPECT_EQ(error_of(file.path(), [&] { file.load("matrx"); }),
            "no tensor 'matrx' among the 2; the nearest is 'matrix'");
  EXPECT_FALSE(file.has("matrx"));
  EXPECT_EQ(open_error(Builder().key("\x1b[31m\n", 77, "")).substr(0, 18), "metadata '?[31m?' ");
}

TEST(GgufModel, ReadsMetadataOfTheReferencePackage) {
  const GgufFile file(WHENCE_TEST_DATA "/weights/metadata.gguf");
  EXPECT_EQ(file.get<std::int64_t>("u8"), 200);
  EXPECT_EQ(file.get<std::int64_t>("i16"), -300);
  EXPECT_EQ(file.get<std::int64_t>("u64"), std::int64_t{1} << 40);
  EXPECT_EQ(file.get<double>("f32"), 1.5);
  EXPECT_EQ(file.get<double>("f64"), 0.1);
  EXPECT_EQ(file.get<bool>("bool"), true);
  EXPECT_EQ(file.get<std::string>("string"), "na\u00efve");
  EXPECT_EQ(file.get<std::vector<std::int64_t>>("integers"), (std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(file.get<std::vector<double>>("floats"), (std::vector<double>{0.5, 2}));
  EXPECT_EQ(file.get<std::vector<bool>>("bools"), (std::vector<bool>{false, true}));
  EXPECT_EQ(file.get<std::vector<std::string>>("strings"), (std::vector<std::string>{"", "b"}));
  EXPECT_EQ(file.get<std::int64_t>("general.alignment"), 64);
  EXPECT_EQ(file.load("first")[2][1].item<float>(), 5);
  EXPECT_EQ(file.load("second")[1][31].item<float>(), -1.5);
}

TEST(GgufModel, SmolLm2AgreesWithTheReferencePackage) {
  const GgufFile file(WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(file.names().size(), 272u);
  EXPECT_EQ(file.require<std::string>("general.architecture"), "llama");
  EXPECT_EQ(file.require<std::int64_t>("llama.block_count"), 30);
  EXPECT_EQ(file.require<std::vector<std::string>>("tokenizer.ggml.tokens").size(), 49152u);
  struct Expected {
    const char *name, *dtype;
    double sum, squares;
  };
  // Sums in double of what the Python package `gguf` unpacks.
  for (const Expected& expected : {Expected{"token_embd.weight", "Q8_0", -15353.0445, 520415.715},
                                   {"blk.0.attn_q.weight", "Q4_1", 59.2232208, 26749.5733},
                                   {"blk.29.ffn_down.weight", "Q4_1", 49.8357086, 29667.0749},
                                   {"output_norm.weight", "F32", 1038.33203, 1921.73555}}) {
    const at::Tensor tensor = file.load(expected.name).to(at::kDouble);
    EXPECT_EQ(file.dtype(expected.name), expected.dtype);
    EXPECT_NEAR(tensor.sum().item<double>(), expected.sum, 1e-8 * std::abs(expected.sum)) << expected.name;
    EXPECT_NEAR(tensor.square().sum().item<double>(), expected.squares, 1e-8 * expected.squares) << expected.name;
  }
}

TEST(GgufModel, ReadsTheVocabularyOfSmolLm2) {
  const GgufFile file(WHENCE_MODELS_DIR "/SmolLM2-135M-Instruct.Q4_1.gguf");
  const GgufVocabulary vocabulary = read_vocabulary(file);
  EXPECT_EQ(vocabulary.origin, file.path().string());
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre, "smollm");
  ASSERT_EQ(vocabulary.tokens.size(), 49152u);
  EXPECT_EQ(vocabulary.tokens[1], "<|im_start|>");
  EXPECT_EQ(vocabulary.token_types.size(), 49152u);
  EXPECT_EQ(vocabulary.token_types[1], 3);
  EXPECT_EQ(vocabulary.merges.size(), 48900u);
  EXPECT_TRUE(vocabulary.scores.empty());
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.eos, 2);
  EXPECT_EQ(vocabulary.unknown, 0);
  EXPECT_EQ(vocabulary.pad, 2);
  EXPECT_EQ(vocabulary.add_bos, false);
  EXPECT_EQ(vocabulary.add_eos, std::nullopt);
  EXPECT_EQ(vocabulary.add_space_prefix, false);
}

TEST_F(GgufFileTest, VocabularyNamesAMissingKey) {
  const GgufFile file = open(small_file());
  EXPECT_EQ(error_of(file.path(), [&] { read_vocabulary(file); }),
            "metadata 'tokenizer.ggml.model' is missing, expected a string; convert the model again");
}

}  // namespace
}  // namespace whence::transformer
