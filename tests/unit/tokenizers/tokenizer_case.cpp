#include "tokenizer_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace whence {
namespace {

namespace fs = std::filesystem;

fs::path data() { return WHENCE_TEST_DATA "/tokenizers"; }

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": cannot be read");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TokenizerCase::TokenizerCase(const std::string& name)
    : expected_(nlohmann::json::parse(bytes_of(data() / (name + ".json")))) {
  for (const auto& [file, content] : expected_.at("files").items())
    write(file, content.is_string() ? bytes_of(data() / content.get<std::string>()) : content.dump());
}

std::vector<std::string> TokenizerCase::names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(data())) {
    const auto stem = entry.path().stem();
    if (entry.path().extension() == ".json" && stem != "strings" && !stem.string().starts_with("moses_"))
      names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

const std::vector<std::string>& TokenizerCase::strings() {
  static const std::vector<std::string> strings = nlohmann::json::parse(bytes_of(data() / "strings.json"));
  return strings;
}

void TokenizerCase::remove(const std::string& file) const { fs::remove(path() / file); }

std::string TokenizerCase::read(const std::string& file) const { return bytes_of(path() / file); }

void expect_agreement(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  const auto strings =
      expected.contains("strings") ? expected.at("strings").get<std::vector<std::string>>() : TokenizerCase::strings();
  ASSERT_EQ(expected.at("ids").size(), strings.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    SCOPED_TRACE("string " + std::to_string(i) + ": " + strings[i]);
    const auto ids = expected.at("ids")[i].get<TokenIds>();
    const auto encoding = tokenizer.encode(strings[i]);
    EXPECT_EQ(encoding.ids, ids);
    ASSERT_EQ(encoding.tokens.size(), encoding.ids.size());
    ASSERT_EQ(encoding.offsets.size(), encoding.ids.size());
    ASSERT_EQ(encoding.special.size(), encoding.ids.size());
    for (std::size_t token = 0; token < encoding.ids.size(); ++token) {
      EXPECT_EQ(encoding.tokens[token], tokenizer.token(encoding.ids[token]));
      EXPECT_EQ(tokenizer.id(encoding.tokens[token]), encoding.ids[token]);
    }
    if (expected.contains("decoded")) {
      const auto& decoded = expected.at("decoded")[i];
      EXPECT_EQ(tokenizer.decode(ids, true), decoded.is_null() ? strings[i] : decoded.get<std::string>());
    }
    if (!expected.contains("offsets") || expected.at("offsets")[i].is_null()) continue;
    std::vector<std::int64_t> offsets;
    for (const auto& span : encoding.offsets) offsets.insert(offsets.end(), {span.start, span.end});
    EXPECT_EQ(offsets, expected.at("offsets")[i].get<std::vector<std::int64_t>>());
  }
}

}  // namespace whence
