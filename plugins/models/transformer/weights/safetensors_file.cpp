#include "safetensors_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "layout.h"
#include "whence/error.h"

namespace whence::transformer {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr int kMaxNesting = 8;
constexpr std::size_t kLongestReason = 200;  // the parser quotes what it last read, whatever its length

constexpr std::array<std::string_view, 13> kDtypes{"F32", "F16", "BF16", "F64", "I8",  "I16", "I32",
                                                   "I64", "U8",  "U16",  "U32", "U64", "BOOL"};

[[noreturn]] void fail(const fs::path& file, const std::string& text) { throw ModelError(file.string() + ": " + text); }

/// Parses a JSON object; refuses members that occur twice, of which the parser would keep the last, and deep nesting.
Json parse_object(const fs::path& file, std::span<const std::byte> bytes, const std::string& what) {
  std::vector<std::set<std::string>> members;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxNesting) fail(file, what + " nests too deeply; the file is damaged, get it again");
    if (event == Json::parse_event_t::object_start) members.emplace_back();
    if (event == Json::parse_event_t::object_end) members.pop_back();
    if (event == Json::parse_event_t::key && !members.back().insert(parsed.get<std::string>()).second)
      fail(file, what + " has " + quote_name(parsed.get_ref<const std::string&>()) +
                     " twice; the file is damaged, get it again");
    return true;
  };
  try {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    Json parsed = Json::parse(text, text + bytes.size(), watch);
    if (parsed.is_object()) return parsed;
  } catch (const Json::exception& error) {
    fail(file, what + " is not JSON: " + std::string(error.what()).substr(0, kLongestReason) +
                   "; the file is damaged, get it again");
  }
  fail(file, what + " is no JSON object; the file is damaged, get it again");
}

/// JSON from a foreign file, fit for an error text.
std::string brief(const Json& json) { return quote_name(json.dump()); }

/// The list of non-negative integers `entry[member]`.
std::vector<std::int64_t> sizes(const fs::path& file, const std::string& name, const Json& entry, const char* member) {
  const auto found = entry.find(member);
  const auto is_size = [](const Json& number) {
    return number.is_number_unsigned() && std::in_range<std::int64_t>(number.get<std::uint64_t>());
  };
  if (found == entry.end() || !found->is_array() || !std::ranges::all_of(*found, is_size))
    fail(file, "tensor " + quote_name(name) + " has no valid '" + member +
                   "', expected a list of non-negative integers; the file is damaged, get it again");
  return found->get<std::vector<std::int64_t>>();
}

const TensorType& dtype_of(const fs::path& file, const std::string& name, const Json& entry) {
  const auto found = entry.find("dtype");
  if (found == entry.end() || !found->is_string())
    fail(file, "tensor " + quote_name(name) + " has no 'dtype'; the file is damaged, get it again");
  const auto& dtype = found->get_ref<const std::string&>();
  if (std::ranges::find(kDtypes, dtype) != kDtypes.end()) return *find_tensor_type(dtype);
  std::string supported;
  for (const std::string_view known : kDtypes) supported += (supported.empty() ? "" : ", ") + std::string(known);
  fail(file, "tensor " + quote_name(name) + " has dtype " + quote_name(dtype) +
                 ", which is not supported; supported: " + supported);
}

struct StoredTensor {
  const TensorType* type;
  std::vector<std::int64_t> shape;
  Extent extent;
};

/// One entry of the header, checked by itself and against the size of the data.
StoredTensor read_entry(const fs::path& file, const std::string& name, const Json& entry, std::uint64_t data_size) {
  const std::string place = "tensor " + quote_name(name);
  if (!entry.is_object()) fail(file, place + " is no JSON object; the file is damaged, get it again");
  const TensorType& type = dtype_of(file, name, entry);
  auto shape = sizes(file, name, entry, "shape");
  const auto offsets = sizes(file, name, entry, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    fail(file, place + " has 'data_offsets' " + brief(entry["data_offsets"]) +
                   ", expected a begin and an end; the file is damaged, get it again");
  const auto begin = static_cast<std::uint64_t>(offsets[0]), end = static_cast<std::uint64_t>(offsets[1]);
  if (end > data_size)
    fail(file, place + " is out of range: it takes bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                   " of the data, which has " + std::to_string(data_size) + "; the file is truncated, get it again");
  const auto needed = packed_bytes(type, shape);
  if (!needed)
    fail(file, place + " has the shape " + brief(entry["shape"]) +
                   ", which is beyond all limits; the file is damaged, get it again");
  if (*needed != end - begin)
    fail(file, place + " has shape " + brief(entry["shape"]) + " and dtype " + std::string(type.name) +
                   ", which need " + std::to_string(*needed) + " bytes, but takes " + std::to_string(end - begin) +
                   "; the file is damaged, get it again");
  return {&type, std::move(shape), {begin, end, name}};
}

}  // namespace

SafetensorsFile::SafetensorsFile(const fs::path& path) : TensorStore(path) {
  std::error_code unreadable;  // reported when the file is mapped
  if (fs::is_directory(path, unreadable)) {
    if (fs::exists(path / "model.safetensors"))
      add_file(path / "model.safetensors");
    else if (fs::exists(path / "model.safetensors.index.json"))
      add_shards(path / "model.safetensors.index.json");
    else
      fail(path,
           "no 'model.safetensors' and no 'model.safetensors.index.json' in this directory; save the model in the "
           "safetensors format");
  } else if (path.extension() == ".json") {
    add_shards(path);
  } else {
    add_file(path);
  }
  describe("safetensors");
}

void SafetensorsFile::add_file(const fs::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  const auto bytes = file->bytes();
  std::uint64_t header_size;
  if (bytes.size() < sizeof header_size)
    fail(path,
         "truncated: " + std::to_string(bytes.size()) + " bytes, a safetensors file has at least 8; get it again");
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  const auto after = bytes.subspan(sizeof header_size);
  if (header_size > kMaxHeader)
    fail(path, "the header says it has " + std::to_string(header_size) + " bytes, at most " +
                   std::to_string(kMaxHeader) + " are allowed; this is no safetensors file, or a damaged one");
  if (header_size > after.size())
    fail(path, "truncated: the header has " + std::to_string(header_size) + " bytes, " + std::to_string(after.size()) +
                   " are left; get the file again");
  const auto data = after.subspan(header_size);

  const Json header = parse_object(path, after.first(header_size), "the header");
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    StoredTensor tensor = read_entry(path, name, entry, data.size());
    const auto begin = tensor.extent.begin, size = tensor.extent.end - begin;
    if (!add(name, RawTensor{tensor.type, std::move(tensor.shape), data.subspan(begin, size), file}))
      fail(path, "tensor " + quote_name(name) + " is also in " + raw(name).file->path().string() +
                     "; every tensor belongs to one shard");
    extents.push_back(std::move(tensor.extent));
  }
  if (const auto gap = check_layout(path, std::move(extents), data.size()))
    fail(path, "bytes " + std::to_string(gap->begin) + " to " + std::to_string(gap->end) +
                   " of the data belong to no tensor, which the format forbids; the file is damaged, get it again");
}

void SafetensorsFile::add_shards(const fs::path& index) {
  const MappedFile file(index);
  const Json parsed = parse_object(index, file.bytes(), "the index");
  const auto map = parsed.find("weight_map");
  if (map == parsed.end() || !map->is_object() || map->empty())
    fail(index, "no 'weight_map' that names a file for every tensor; get the index again");

  std::map<std::string, std::vector<std::string>> tensors_of;
  for (const auto& [tensor, shard] : map->items()) {
    // A checkpoint may come from a stranger: its index must not reach outside its own directory.
    if (!shard.is_string() || shard == "" || shard == "." || shard == ".." ||
        fs::path(shard.get_ref<const std::string&>()).filename() != shard.get_ref<const std::string&>())
      fail(index, "tensor " + quote_name(tensor) + " is mapped to " + brief(shard) +
                      ", expected the name of a file beside the index");
    tensors_of[shard.get<std::string>()].push_back(tensor);
  }
  for (const auto& [shard, tensors] : tensors_of) {
    const fs::path path = index.parent_path() / shard;
    if (!fs::exists(path))
      fail(index, "the shard " + quote_name(shard) + " is missing; get that file, too, or get the index again");
    add_file(path);
    for (const std::string& tensor : tensors)
      if (!has(tensor) || raw(tensor).file->path() != path)
        fail(index, "tensor " + quote_name(tensor) + " is mapped to " + quote_name(shard) +
                        ", which does not hold it; get both files again");
  }
}

}  // namespace whence::transformer
