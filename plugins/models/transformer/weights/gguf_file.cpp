#include "gguf_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "layout.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

// Far above every real file, far below what would exhaust memory: damaged counts are refused before anything is
// allocated for them.
constexpr std::uint64_t kMaxTensors = 1 << 20;
constexpr std::uint64_t kMaxKeys = 1 << 20;
constexpr std::uint64_t kMaxElements = 1 << 24;  // of all arrays together
constexpr std::uint64_t kMaxAlignment = 1 << 20;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr int kMaxNesting = 8;

// The least bytes a metadata pair (name length, type, one byte) and a tensor's entry (name length, number of
// dimensions, type, offset) can take.
constexpr std::uint64_t kKeyBytes = 8 + 4 + 1;
constexpr std::uint64_t kTensorBytes = 8 + 4 + 4 + 8;

enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

struct StoredType {
  std::uint32_t id;
  std::string_view name;
};

// The ids of ggml, with those this engine cannot unpack, so that they can be named in errors.
constexpr std::array<StoredType, 33> kStoredTypes{{
    {0, "F32"},      {1, "F16"},     {2, "Q4_0"},     {3, "Q4_1"},   {6, "Q5_0"},    {7, "Q5_1"},   {8, "Q8_0"},
    {9, "Q8_1"},     {10, "Q2_K"},   {11, "Q3_K"},    {12, "Q4_K"},  {13, "Q5_K"},   {14, "Q6_K"},  {15, "Q8_K"},
    {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},
    {23, "IQ4_XS"},  {24, "I8"},     {25, "I16"},     {26, "I32"},   {27, "I64"},    {28, "F64"},   {29, "IQ1_M"},
    {30, "BF16"},    {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"}, {40, "NVFP4"},
}};

/// Reads a file from front to back; every error names the file and what was being read.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : file_(file), left_(file.bytes()) {}

  /// What the following reads belong to, for errors.
  void enter(std::string what) { what_ = std::move(what); }
  std::uint64_t position() const { return file_.bytes().size() - left_.size(); }

  [[noreturn]] void fail(const std::string& text) const {
    throw ModelError(file_.path().string() + ": " + what_ + " " + text);
  }

  [[noreturn]] void fail_truncated(const std::string& needs) const {
    throw ModelError(file_.path().string() + ": truncated: " + what_ + " needs " + needs + " at offset " +
                     std::to_string(position()) + ", " + std::to_string(left_.size()) +
                     " are left; get the file again");
  }

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > left_.size()) fail_truncated(std::to_string(size) + " bytes");
    const auto taken = left_.first(size);
    left_ = left_.subspan(size);
    return taken;
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
    return value;
  }

  std::string string() {
    const auto bytes = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// A count of things that take at least `least` bytes each and of which `most` are plausible.
  std::uint64_t count(std::uint64_t most, std::uint64_t least) {
    const auto value = number<std::uint64_t>();
    if (value > most)
      fail("announces " + std::to_string(value) + " entries, at most " + std::to_string(most) +
           " are plausible; the file is damaged, get it again");
    if (value > left_.size() / least)
      fail_truncated("at least " + std::to_string(least) + " bytes for each of " + std::to_string(value) + " entries");
    return value;
  }

 private:
  const MappedFile& file_;
  std::span<const std::byte> left_;
  std::string what_ = "the header";
};

/// Reads metadata values, with one budget of array elements for the whole file.
class ValueReader {
 public:
  explicit ValueReader(Cursor& cursor) : cursor_(cursor) {}

  GgufValue read() { return value(cursor_.number<std::uint32_t>(), 0); }

 private:
  template <class Number>
  GgufValue integer() {
    const auto read = cursor_.number<Number>();
    if (std::in_range<std::int64_t>(read)) return {static_cast<std::int64_t>(read)};
    return {static_cast<std::uint64_t>(read)};
  }

  GgufValue boolean() {
    const auto read = cursor_.number<std::uint8_t>();
    if (read > 1) cursor_.fail("holds the boolean " + std::to_string(read) + ", expected 0 or 1; the file is damaged");
    return {read == 1};
  }

  GgufValue value(std::uint32_t type, int depth) {
    switch (static_cast<ValueType>(type)) {
      case ValueType::u8:
        return integer<std::uint8_t>();
      case ValueType::i8:
        return integer<std::int8_t>();
      case ValueType::u16:
        return integer<std::uint16_t>();
      case ValueType::i16:
        return integer<std::int16_t>();
      case ValueType::u32:
        return integer<std::uint32_t>();
      case ValueType::i32:
        return integer<std::int32_t>();
      case ValueType::u64:
        return integer<std::uint64_t>();
      case ValueType::i64:
        return integer<std::int64_t>();
      case ValueType::f32:
        return {static_cast<double>(cursor_.number<float>())};
      case ValueType::f64:
        return {cursor_.number<double>()};
      case ValueType::boolean:
        return boolean();
      case ValueType::string:
        return {cursor_.string()};
      case ValueType::array:
        return array(depth);
    }
    cursor_.fail("has value type " + std::to_string(type) + ", expected 0 to 12; the file is damaged, get it again");
  }

  GgufValue array(int depth) {
    if (depth == kMaxNesting)
      cursor_.fail("nests arrays deeper than " + std::to_string(kMaxNesting) +
                   " levels; the file is damaged, get it again");
    const auto type = cursor_.number<std::uint32_t>();
    const std::uint64_t count = cursor_.count(budget_, least_bytes(type));
    budget_ -= count;
    GgufValue::Array elements;
    elements.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) elements.push_back(value(type, depth + 1));
    return {std::move(elements)};
  }

  static std::uint64_t least_bytes(std::uint32_t type) {
    switch (static_cast<ValueType>(type)) {
      case ValueType::u16:
      case ValueType::i16:
        return 2;
      case ValueType::u32:
      case ValueType::i32:
      case ValueType::f32:
        return 4;
      case ValueType::string:
      case ValueType::u64:
      case ValueType::i64:
      case ValueType::f64:
        return 8;
      case ValueType::array:
        return 12;
      default:
        return 1;
    }
  }

  Cursor& cursor_;
  std::uint64_t budget_ = kMaxElements;
};

int read_version(Cursor& cursor) {
  constexpr std::string_view kMagic = "GGUF";
  const auto magic = cursor.take(kMagic.size());
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0)
    cursor.fail("does not begin with 'GGUF'; name a GGUF file");
  const auto version = cursor.number<std::uint32_t>();
  if (version != 0 && (version & 0xffff) == 0) cursor.fail("is of a big-endian GGUF file; convert it to little-endian");
  if (version != 2 && version != 3)
    cursor.fail("says GGUF version " + std::to_string(version) + ", expected 2 or 3; convert the model again");
  return static_cast<int>(version);
}

struct StoredTensor {
  std::string name;
  const TensorType* type;
  std::vector<std::int64_t> shape;
  std::uint64_t offset, bytes;
};

const TensorType& read_tensor_type(Cursor& cursor) {
  const auto id = cursor.number<std::uint32_t>();
  const auto stored = std::ranges::find(kStoredTypes, id, &StoredType::id);
  const bool known = stored != kStoredTypes.end();
  if (const TensorType* type = known ? find_tensor_type(stored->name) : nullptr) return *type;
  std::string supported;
  for (const auto& candidate : kStoredTypes)
    if (find_tensor_type(candidate.name)) supported += (supported.empty() ? "" : ", ") + std::string(candidate.name);
  cursor.fail("has type " + (known ? std::string(stored->name) : "number " + std::to_string(id)) +
              ", which is not supported; supported: " + supported);
}

StoredTensor read_tensor(Cursor& cursor, std::uint64_t alignment) {
  StoredTensor tensor;
  tensor.name = cursor.string();
  cursor.enter("tensor " + quote_name(tensor.name));
  const auto dimensions = cursor.number<std::uint32_t>();
  if (dimensions > kMaxDimensions)
    cursor.fail("has " + std::to_string(dimensions) + " dimensions, expected at most " +
                std::to_string(kMaxDimensions) + "; the file is damaged, get it again");
  std::string shape_text;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.number<std::uint64_t>();
    shape_text = std::to_string(size) + (i ? ", " : "") + shape_text;
    // What does not fit becomes negative, which packed_bytes() refuses.
    tensor.shape.insert(tensor.shape.begin(), std::in_range<std::int64_t>(size) ? static_cast<std::int64_t>(size) : -1);
  }
  tensor.type = &read_tensor_type(cursor);
  const auto bytes = packed_bytes(*tensor.type, tensor.shape);
  if (!bytes)
    cursor.fail("has the shape [" + shape_text + "], which is beyond all limits or has rows that are no multiple of " +
                std::to_string(tensor.type->block_elements) + ", the block of " + std::string(tensor.type->name) +
                "; the file is damaged, get it again");
  tensor.bytes = *bytes;
  tensor.offset = cursor.number<std::uint64_t>();
  if (tensor.offset % alignment != 0)
    cursor.fail("begins at offset " + std::to_string(tensor.offset) + " of the data, expected a multiple of " +
                std::to_string(alignment) + "; the file is damaged, get it again");
  return tensor;
}

template <class T>
constexpr std::string_view kExpected = "";
template <>
constexpr std::string_view kExpected<bool> = "a boolean";
template <>
constexpr std::string_view kExpected<std::int64_t> = "an integer";
template <>
constexpr std::string_view kExpected<double> = "a number";
template <>
constexpr std::string_view kExpected<std::string> = "a string";
template <>
constexpr std::string_view kExpected<std::vector<bool>> = "an array of booleans";
template <>
constexpr std::string_view kExpected<std::vector<std::int64_t>> = "an array of integers";
template <>
constexpr std::string_view kExpected<std::vector<double>> = "an array of numbers";
template <>
constexpr std::string_view kExpected<std::vector<std::string>> = "an array of strings";

std::string_view kind_of(const GgufValue& value) {
  constexpr std::array<std::string_view, 6> kKinds{
      "an integer", "an integer beyond 64 signed bits", "a number", "a boolean", "a string", "an array"};
  static_assert(kKinds.size() == std::variant_size_v<decltype(value.data)>);
  return kKinds[value.data.index()];
}

template <class T>
std::optional<T> converted(const GgufValue& value) {
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return static_cast<double>(*integer);
    if (const auto* integer = std::get_if<std::uint64_t>(&value.data)) return static_cast<double>(*integer);
  }
  const T* held = std::get_if<T>(&value.data);
  return held ? std::optional<T>(*held) : std::nullopt;
}

template <class T>
requires requires {
  typename T::allocator_type;
} &&(!std::is_same_v<T, std::string>)std::optional<T> converted(const GgufValue& value) {
  const auto* array = std::get_if<GgufValue::Array>(&value.data);
  if (!array) return std::nullopt;
  T elements;
  elements.reserve(array->size());
  for (const GgufValue& element : *array) {
    auto read = converted<typename T::value_type>(element);
    if (!read) return std::nullopt;
    elements.push_back(std::move(*read));
  }
  return elements;
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : TensorStore(path) {
  const auto file = std::make_shared<const MappedFile>(path);
  Cursor cursor(*file);
  version_ = read_version(cursor);
  cursor.enter("the number of tensors");
  const std::uint64_t tensor_count = cursor.count(kMaxTensors, kTensorBytes);
  cursor.enter("the number of metadata keys");
  const std::uint64_t key_count = cursor.count(kMaxKeys, kKeyBytes);

  ValueReader values(cursor);
  for (std::uint64_t i = 0; i < key_count; ++i) {
    cursor.enter("metadata key " + std::to_string(i + 1) + " of " + std::to_string(key_count));
    const std::string key = cursor.string();
    cursor.enter("metadata " + quote_name(key));
    if (!metadata_.emplace(key, values.read()).second) cursor.fail("occurs twice; the file is damaged, get it again");
  }

  cursor.enter("metadata 'split.count'");
  if (const auto parts = get<std::int64_t>("split.count"); parts && *parts > 1)
    cursor.fail("says the model is split over " + std::to_string(*parts) +
                " files, which is not supported; merge them with 'llama-gguf-split --merge'");

  cursor.enter("metadata 'general.alignment'");
  const std::int64_t alignment_read = get<std::int64_t>("general.alignment").value_or(32);
  if (alignment_read < 8 || alignment_read > static_cast<std::int64_t>(kMaxAlignment) ||
      !std::has_single_bit(static_cast<std::uint64_t>(alignment_read)))
    cursor.fail("is " + std::to_string(alignment_read) + ", expected a power of two from 8 to " +
                std::to_string(kMaxAlignment) + "; the file is damaged, get it again");
  const auto alignment = static_cast<std::uint64_t>(alignment_read);

  std::vector<StoredTensor> tensors;
  tensors.reserve(tensor_count);
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    cursor.enter("tensor " + std::to_string(i + 1) + " of " + std::to_string(tensor_count));
    tensors.push_back(read_tensor(cursor, alignment));
  }

  const std::uint64_t data_begin = (cursor.position() + alignment - 1) / alignment * alignment;
  const auto bytes = file->bytes();
  const auto data = bytes.subspan(std::min<std::uint64_t>(data_begin, bytes.size()));
  std::vector<Extent> extents;
  extents.reserve(tensors.size());
  for (StoredTensor& tensor : tensors) {
    if (tensor.offset > data.size() || tensor.bytes > data.size() - tensor.offset)
      throw ModelError(path.string() + ": truncated: tensor " + quote_name(tensor.name) + " needs " +
                       std::to_string(tensor.bytes) + " bytes from offset " + std::to_string(tensor.offset) +
                       " of the data, which has " + std::to_string(data.size()) + "; get the file again");
    extents.push_back({tensor.offset, tensor.offset + tensor.bytes, tensor.name});
    RawTensor raw{tensor.type, std::move(tensor.shape), data.subspan(tensor.offset, tensor.bytes), file};
    if (!add(tensor.name, std::move(raw)))
      throw ModelError(path.string() + ": tensor " + quote_name(tensor.name) +
                       " occurs twice; the file is damaged, get it again");
  }
  check_layout(path, std::move(extents), data.size());
  describe("GGUF v" + std::to_string(version_));
}

template <class T>
std::optional<T> GgufFile::get(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return std::nullopt;
  if (auto value = converted<T>(found->second)) return value;
  throw ModelError(path().string() + ": metadata " + quote_name(key) + " is " + std::string(kind_of(found->second)) +
                   ", expected " + std::string(kExpected<T>) + "; convert the model again");
}

template <class T>
T GgufFile::require(std::string_view key) const {
  if (auto value = get<T>(key)) return std::move(*value);
  throw ModelError(path().string() + ": metadata " + quote_name(key) + " is missing, expected " +
                   std::string(kExpected<T>) + "; convert the model again");
}

template std::optional<bool> GgufFile::get(std::string_view) const;
template std::optional<std::int64_t> GgufFile::get(std::string_view) const;
template std::optional<double> GgufFile::get(std::string_view) const;
template std::optional<std::string> GgufFile::get(std::string_view) const;
template std::optional<std::vector<bool>> GgufFile::get(std::string_view) const;
template std::optional<std::vector<std::int64_t>> GgufFile::get(std::string_view) const;
template std::optional<std::vector<double>> GgufFile::get(std::string_view) const;
template std::optional<std::vector<std::string>> GgufFile::get(std::string_view) const;
template bool GgufFile::require(std::string_view) const;
template std::int64_t GgufFile::require(std::string_view) const;
template double GgufFile::require(std::string_view) const;
template std::string GgufFile::require(std::string_view) const;
template std::vector<bool> GgufFile::require(std::string_view) const;
template std::vector<std::int64_t> GgufFile::require(std::string_view) const;
template std::vector<double> GgufFile::require(std::string_view) const;
template std::vector<std::string> GgufFile::require(std::string_view) const;

}  // namespace whence::transformer
