#include "case_data.h"

#include <ATen/ops/tensor.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <stdexcept>

namespace whence::parity {
namespace {

const std::filesystem::path kCases = WHENCE_TEST_DATA "/cases/cases";

/// zlib reads plain files as they are.
std::string read(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::string text;
  char buffer[1 << 16];
  int count = 0;
  while ((count = gzread(file, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(count));
  gzclose(file);
  if (count < 0) throw std::runtime_error("cannot unpack " + path.string());
  return text;
}

void flatten(const json& numbers, std::vector<float>& into) {
  if (numbers.is_array()) {
    for (const json& each : numbers) flatten(each, into);
    return;
  }
  into.push_back(numbers.is_null() ? std::numeric_limits<float>::quiet_NaN() : numbers.get<float>());
}

std::map<std::string, Tensor> to_tensors(const json& by_name) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, numbers] : by_name.items()) tensors[name] = to_tensor(numbers);
  return tensors;
}

std::vector<Token> to_tokens(const json& texts, const json& ids) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < texts.size(); ++i)
    tokens.push_back({texts[i].get<std::string>(), ids[i].get<std::int64_t>()});
  return tokens;
}

}  // namespace

const json& Case::at(const char* key) const {
  static const json kNull;
  const auto found = data.find(key);
  return found == data.end() ? kNull : *found;
}

std::string Case::attributed_function() const {
  return at("attributed_fn").is_null() ? "probability" : at("attributed_fn").get<std::string>();
}

std::vector<std::string> Case::step_scores() const {
  return at("step_scores").is_null() ? std::vector<std::string>{} : at("step_scores").get<std::vector<std::string>>();
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> list;
    for (const auto& folder : std::filesystem::directory_iterator(kCases)) {
      Case one;
      one.data = json::parse(read(folder.path() / "case.json"));
      one.id = one.data.at("id");
      one.kind = one.data.at("kind");
      one.method = one.data.at("method");
      one.model = std::filesystem::path(one.data.at("model").get<std::string>()).filename();
      list.push_back(std::move(one));
    }
    std::sort(list.begin(), list.end(), [](const Case& a, const Case& b) { return a.id < b.id; });
    return list;
  }();
  return cases;
}

const Case& find_case(const std::string& id) {
  for (const Case& one : all_cases())
    if (one.id == id) return one;
  throw std::runtime_error("no case " + id);
}

json load_expected(const Case& one) {
  const auto folder = kCases / one.id;
  const bool plain = std::filesystem::exists(folder / "expected.json");
  return json::parse(read(folder / (plain ? "expected.json" : "expected.json.gz")));
}

Tensor to_tensor(const json& numbers) {
  if (numbers.is_null()) return {};
  std::vector<std::int64_t> shape;
  for (const json* level = &numbers; level->is_array(); level = &level->front()) {
    shape.push_back(static_cast<std::int64_t>(level->size()));
    if (level->empty()) break;
  }
  std::vector<float> values;
  flatten(numbers, values);
  return at::tensor(values).view(shape);
}

SequenceAttribution to_sequence(const json& expected, const std::string& method) {
  SequenceAttribution sequence;
  sequence.source = to_tokens(expected.at("source_tokens"), expected.at("source_ids"));
  sequence.target = to_tokens(expected.at("target_tokens"), expected.at("target_ids"));
  sequence.steps = {expected.at("attr_pos_start"), expected.at("attr_pos_end")};
  sequence.source_attributions = to_tensor(expected.at("source_attributions"));
  sequence.target_attributions = to_tensor(expected.at("target_attributions"));
  sequence.step_scores = to_tensors(expected.at("step_scores"));
  sequence.sequence_scores = to_tensors(expected.at("sequence_scores"));
  const Tensor& either =
      sequence.target_attributions.defined() ? sequence.target_attributions : sequence.source_attributions;
  if (either.defined() && either.dim() > 2)
    sequence.granularity =
        method == "attention" ? std::vector<std::string>{"layer", "head"} : std::vector<std::string>{"hidden"};
  return sequence;
}

std::string test_name(const std::string& id) {
  std::string name = id;
  for (char& each : name)
    if (!std::isalnum(static_cast<unsigned char>(each))) each = '_';
  return name;
}

}  // namespace whence::parity
