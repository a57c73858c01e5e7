#include "safetensors_file.h"

#include <gtest/gtest.h>

#include "scratch_files.h"

namespace whence::transformer {
namespace {

using testing::error_of;
using testing::raw_bytes;

std::string with_header(const std::string& header, const std::string& data = "") {
  return raw_bytes<std::uint64_t>(header.size()) + header + data;
}

/// {"dtype": ..., "shape": ..., "data_offsets": ...} as text.
std::string entry(const std::string& dtype, const std::string& shape, int begin, int end) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[)" + std::to_string(begin) + "," +
         std::to_string(end) + "]}";
}

/// A file with one F32 tensor of one element.
std::string one_tensor(const std::string& name, float value) {
  return with_header("{\"" + name + "\":" + entry("F32", "[1]", 0, 4) + "}", raw_bytes(value));
}

class SafetensorsFileTest : public testing::ScratchTest {
 protected:
  std::string open_error(std::string_view bytes) const {
    const auto path = write("model.safetensors", bytes);
    return error_of(path, [&] { SafetensorsFile file(path); });
  }
  std::string header_error(const std::string& header, std::size_t data_size = 0) const {
    return open_error(with_header(header, std::string(data_size, '\0')));
  }
  /// Writes shards one.safetensors (tensor a) and two.safetensors (tensor b) and an index that maps as told.
  void write_shards(const std::string& weight_map, const std::string& second = "b") const {
    write("one.safetensors", one_tensor("a", 1));
    write("two.safetensors", one_tensor(second, 2));
    write("model.safetensors.index.json", R"({"metadata":{"total_size":8},"weight_map":)" + weight_map + "}");
  }
  std::string index_error() const {
    return error_of(folder() / "model.safetensors.index.json", [&] { SafetensorsFile file(folder()); });
  }
};

TEST(SafetensorsModel, ReadsALlamaDirectory) {
  const SafetensorsFile file(WHENCE_TEST_DATA "/cases/models/llama");
  EXPECT_EQ(file.names().size(), 21u);
  struct Expected {
    const char* name;
    std::vector<std::int64_t> shape;
    double sum, squares;
  };
  // Sums in double of what the Python package `safetensors` reads.
  for (const Expected& expected : {Expected{"lm_head.weight", {400, 32}, 11.0294589, 654.427926},
                                   {"model.layers.0.input_layernorm.weight", {32}, 31.4398585, 31.4111965},
                                   {"model.layers.0.mlp.down_proj.weight", {32, 48}, -10.4677072, 142.02097}}) {
    const at::Tensor tensor = file.load(expected.name).to(at::kDouble);
    EXPECT_EQ(file.shape(expected.name), expected.shape);
    EXPECT_NEAR(tensor.sum().item<double>(), expected.sum, 1e-7) << expected.name;
    EXPECT_NEAR(tensor.square().sum().item<double>(), expected.squares, 1e-6) << expected.name;
  }
}

TEST_F(SafetensorsFileTest, ReadsEveryDtype) {
  struct Dtype {
    const char* name;
    std::string bytes;
    float value;
  };
  const std::vector<Dtype> dtypes{{"F32", raw_bytes(-2.5f), -2.5f},
                                  {"F64", raw_bytes(-2.5), -2.5f},
                                  {"F16", raw_bytes<std::uint16_t>(0xC100), -2.5f},
                                  {"BF16", raw_bytes<std::uint16_t>(0xC020), -2.5f},
                                  {"I8", raw_bytes<std::int8_t>(-2), -2},
                                  {"I16", raw_bytes<std::int16_t>(-2), -2},
                                  {"I32", raw_bytes<std::int32_t>(-2), -2},
                                  {"I64", raw_bytes<std::int64_t>(-2), -2},
                                  {"U8", raw_bytes<std::uint8_t>(200), 200},
                                  {"U16", raw_bytes<std::uint16_t>(60000), 60000},
                                  {"U32", raw_bytes<std::uint32_t>(4000000000), 4e9f},
                                  {"U64", raw_bytes(std::uint64_t{1} << 63), 9223372036854775808.0f},
                                  {"BOOL", raw_bytes<std::uint8_t>(1), 1}};
  std::string header, data;
  for (const Dtype& dtype : dtypes) {
    const auto begin = static_cast<int>(data.size());
    data += dtype.bytes;
    header += (header.empty() ? "{\"" : ",\"") + std::string(dtype.name) +
              "\":" + entry(dtype.name, "[1,1]", begin, static_cast<int>(data.size()));
  }
  // Spaces after the header are how writers align the data.
  const SafetensorsFile file(write("all.safetensors", with_header(header + "}   ", data)));
  for (const Dtype& dtype : dtypes) {
    const at::Tensor tensor = file.load(dtype.name);
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
    EXPECT_EQ(tensor.sizes(), (at::IntArrayRef{1, 1}));
    EXPECT_EQ(tensor.item<float>(), dtype.value) << dtype.name;
    EXPECT_EQ(file.dtype(dtype.name), dtype.name);
  }
}

TEST_F(SafetensorsFileTest, LooksIntoTheFileForAlignedF32Only) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"w":)" + entry("F32", "[2]", 0, 8) + "}";
  const std::string data = raw_bytes(3.0f) + raw_bytes(4.0f);
  for (const std::size_t padding : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    const auto path = write("w" + std::to_string(padding), with_header(header + std::string(padding, ' '), data));
    const SafetensorsFile file(path);
    const at::Tensor tensor = file.load("w");
    EXPECT_EQ(tensor[1].item<float>(), 4);
    const bool aligned = (8 + header.size() + padding) % 4 == 0;
    EXPECT_EQ(tensor.const_data_ptr() == file.raw("w").bytes.data(), aligned) << padding;
  }
}

TEST_F(SafetensorsFileTest, ReadsEmptyTensorsAndScalars) {
  const std::string header =
      "{\"none\":" + entry("F32", "[0,7]", 0, 0) + ",\"scalar\":" + entry("F32", "[]", 0, 4) + "}";
  const SafetensorsFile file(write("model.safetensors", with_header(header, raw_bytes(5.0f))));
  EXPECT_EQ(file.load("none").sizes(), (at::IntArrayRef{0, 7}));
  EXPECT_EQ(file.load("scalar").item<float>(), 5);
  EXPECT_EQ(file.load("scalar").dim(), 0);
}

TEST_F(SafetensorsFileTest, RefusesADamagedHeader) {
  EXPECT_EQ(open_error("short"), "truncated: 5 bytes, a safetensors file has at least 8; get it again");
  EXPECT_EQ(open_error(raw_bytes<std::uint64_t>(50) + "{}"),
            "truncated: the header has 50 bytes, 2 are left; get the file again");
  EXPECT_EQ(open_error(std::string(16, '\xff')),
            "the header says it has 18446744073709551615 bytes, at most 100000000 are allowed; this is no safetensors "
            "file, or a damaged one");
  EXPECT_EQ(header_error("{\"w\":").substr(0, 24), "the header is not JSON: ");
  EXPECT_EQ(header_error("").substr(0, 24), "the header is not JSON: ");
  EXPECT_EQ(header_error("[1,2]"), "the header is no JSON object; the file is damaged, get it again");
  const std::string scalar = entry("F32", "[]", 0, 4);
  EXPECT_EQ(header_error("{\"w\":" + scalar + ",\"w\":" + scalar + "}", 4),
            "the header has 'w' twice; the file is damaged, get it again");
  EXPECT_EQ(header_error("{\"w\":" + std::string(10000, '[')),
            "the header nests too deeply; the file is damaged, get it again");
}

TEST_F(SafetensorsFileTest, RefusesDamagedEntries) {
  EXPECT_EQ(header_error(R"({"w":7})"), "tensor 'w' is no JSON object; the file is damaged, get it again");
  EXPECT_EQ(header_error(R"({"w":{}})"), "tensor 'w' has no 'dtype'; the file is damaged, get it again");
  EXPECT_EQ(
      header_error("{\"w\":" + entry("F8_E4M3", "[1]", 0, 1) + "}", 1),
      "tensor 'w' has dtype 'F8_E4M3', which is not supported; supported: F32, F16, BF16, F64, I8, I16, I32, I64, "
      "U8, U16, U32, U64, BOOL");
  const std::string no_shape =
      "tensor 'w' has no valid 'shape', expected a list of non-negative integers; the file is damaged, get it again";
  EXPECT_EQ(header_error(R"({"w":{"dtype":"F32"}})"), no_shape);
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[-1]", 0, 4) + "}", 4), no_shape);
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[1.5]", 0, 4) + "}", 4), no_shape);
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[18446744073709551615]", 0, 4) + "}", 4), no_shape);
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "\"[1]\"", 0, 4) + "}", 4), no_shape);
  EXPECT_EQ(
      header_error(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":"0"}})"),
      "tensor 'w' has no valid 'data_offsets', expected a list of non-negative integers; the file is damaged, get "
      "it again");
  EXPECT_EQ(header_error(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})"),
            "tensor 'w' has 'data_offsets' '[0]', expected a begin and an end; the file is damaged, get it again");
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[1]", 4, 0) + "}", 4),
            "tensor 'w' has 'data_offsets' '[4,0]', expected a begin and an end; the file is damaged, get it again");
  EXPECT_EQ(
      header_error("{\"w\":" + entry("F32", "[4294967296,4294967296]", 0, 4) + "}", 4),
      "tensor 'w' has the shape '[4294967296,4294967296]', which is beyond all limits; the file is damaged, get it "
      "again");
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[2]", 0, 4) + "}", 4),
            "tensor 'w' has shape '[2]' and dtype F32, which need 8 bytes, but takes 4; the file is damaged, get it "
            "again");
}

TEST_F(SafetensorsFileTest, RefusesAWrongLayoutOfTheData) {
  EXPECT_EQ(header_error("{\"w\":" + entry("F32", "[2]", 0, 8) + "}", 7),
            "tensor 'w' is out of range: it takes bytes 0 to 8 of the data, which has 7; the file is truncated, get it "
            "again");
  EXPECT_EQ(header_error("{\"a\":" + entry("F32", "[2]", 0, 8) + ",\"b\":" + entry("F32", "[2]", 4, 12) + "}", 12),
            "tensors 'a' and 'b' overlap: bytes 0 to 8 and 4 to 12 of the data; the file is damaged, get it again");
  EXPECT_EQ(
      header_error("{\"a\":" + entry("F32", "[1]", 0, 4) + ",\"b\":" + entry("F32", "[1]", 8, 12) + "}", 12),
      "bytes 4 to 8 of the data belong to no tensor, which the format forbids; the file is damaged, get it again");
  EXPECT_EQ(
      header_error("{\"a\":" + entry("F32", "[1]", 0, 4) + "}", 6),
      "bytes 4 to 6 of the data belong to no tensor, which the format forbids; the file is damaged, get it again");
}

TEST_F(SafetensorsFileTest, ReadsShards) {
  write_shards(R"({"a":"one.safetensors","b":"two.safetensors"})");
  for (const auto& path : {folder(), folder() / "model.safetensors.index.json"}) {
    const SafetensorsFile file(path);
    EXPECT_EQ(file.description(), path.string() + " (safetensors, 2 tensors, 0.0 MiB)");
    EXPECT_EQ(file.load("a").item<float>(), 1);
    EXPECT_EQ(file.load("b").item<float>(), 2);
  }
}

TEST_F(SafetensorsFileTest, RefusesAnIndexThatDoesNotFit) {
  write_shards(R"({"a":"one.safetensors","b":"three.safetensors"})");
  EXPECT_EQ(index_error(), "the shard 'three.safetensors' is missing; get that file, too, or get the index again");
  write_shards(R"({"a":"one.safetensors","c":"two.safetensors"})");
  EXPECT_EQ(index_error(), "tensor 'c' is mapped to 'two.safetensors', which does not hold it; get both files again");
  write_shards(R"({"a":"one.safetensors","b":"../two.safetensors"})");
  EXPECT_EQ(index_error(),
            "tensor 'b' is mapped to '\"../two.safetensors\"', expected the name of a file beside the index");
  write_shards(R"({"a":7})");
  EXPECT_EQ(index_error(), "tensor 'a' is mapped to '7', expected the name of a file beside the index");
  write_shards("{}");
  EXPECT_EQ(index_error(), "no 'weight_map' that names a file for every tensor; get the index again");
  write("model.safetensors.index.json", "{");
  EXPECT_EQ(index_error().substr(0, 23), "the index is not JSON: ");
}

TEST_F(SafetensorsFileTest, RefusesATensorInTwoShards) {
  write_shards(R"({"a":"one.safetensors","b":"two.safetensors"})", "a");
  const auto second = folder() / "two.safetensors";
  EXPECT_EQ(error_of(second, [&] { SafetensorsFile file(folder()); }),
            "tensor 'a' is also in " + (folder() / "one.safetensors").string() + "; every tensor belongs to one shard");
}

TEST_F(SafetensorsFileTest, RefusesMissingFiles) {
  EXPECT_EQ(error_of(folder(), [&] { SafetensorsFile file(folder()); }),
            "no 'model.safetensors' and no 'model.safetensors.index.json' in this directory; save the model in the "
            "safetensors format");
  const auto missing = folder() / "absent.safetensors";
  EXPECT_EQ(error_of(missing, [&] { SafetensorsFile file(missing); }), "no such file; check the path of the model");
  const SafetensorsFile file(write("w.safetensors", one_tensor("model.norm.weight", 1)));
  EXPECT_EQ(error_of(file.path(), [&] { file.raw("model.norms.weight"); }),
            "no tensor 'model.norms.weight' among the 1; the nearest is 'model.norm.weight'");
}

}  // namespace
}  // namespace whence::transformer
