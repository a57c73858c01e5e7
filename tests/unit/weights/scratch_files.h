#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/temporary_folder.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::transformer::testing {

/// A directory of its own for every test, removed afterwards.
class ScratchTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    return folder_.write(name, std::string(bytes));
  }
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  whence::testing::TemporaryFolder folder_;
};

/// The text of the ModelError that `action` throws, with "PATH: " removed from its front; fails when it isn't there.
template <class Action>
std::string error_of(const std::filesystem::path& path, const Action& action) {
  const std::string text = whence::testing::text_of_error<ModelError>(action), place = path.string() + ": ";
  EXPECT_EQ(text.substr(0, place.size()), place);
  return text.substr(std::min(place.size(), text.size()));
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
