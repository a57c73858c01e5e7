#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/temporary_folder.h"
#include "whence/tokenizer.h"

namespace whence {

/// One case of tests/data/tokenizers: the files of a checkpoint, written to a folder of its own, and what transformers
/// made of all strings. tools/fixtures/make_tokenizer_cases.py says what the keys are.
class TokenizerCase {
 public:
  explicit TokenizerCase(const std::string& name);

  static std::vector<std::string> names();
  static const std::vector<std::string>& strings();

  const std::filesystem::path& path() const { return folder_.path(); }
  const nlohmann::json& expected() const { return expected_; }
  void remove(const std::string& file) const;
  void write(const std::string& file, const std::string& text) const { folder_.write(file, text); }
  std::string read(const std::string& file) const;

 private:
  nlohmann::json expected_;
  testing::TemporaryFolder folder_;
};

/// Expects ids, decoded texts and, where there are any, offsets to be those expected, of all strings or of its own.
void expect_agreement(const Tokenizer& tokenizer, const nlohmann::json& expected);

}  // namespace whence
