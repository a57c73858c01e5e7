#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "whence/error.h"

namespace whence::transformer::testing {

/// A directory of its own for every test, removed afterwards.
class ScratchTest : public ::testing::Test {
 protected:
  ~ScratchTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  static std::filesystem::path make_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-weights-XXXXXX").string();
    return ::mkdtemp(pattern.data());
  }
  std::filesystem::path folder_ = make_folder();
};

/// The text of the ModelError that `action` throws, with "PATH: " removed from its front; fails without one.
template <class Action>
std::string error_of(const std::filesystem::path& path, const Action& action) {
  try {
    action();
  } catch (const ModelError& error) {
    const std::string text = error.what(), place = path.string() + ": ";
    EXPECT_EQ(text.substr(0, place.size()), place);
    return text.substr(std::min(place.size(), text.size()));
  }
  ADD_FAILURE() << "no ModelError for " << path;
  return {};
}

/// The bytes of a number or of a string that a GGUF file begins with its length.
template <class Number>
std::string raw_bytes(Number value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string gguf_string(std::string_view text) {
  return raw_bytes<std::uint64_t>(text.size()) + std::string(text);
}

}  // namespace whence::transformer::testing
