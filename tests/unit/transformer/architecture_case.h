#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "checkpoints.h"
#include "safetensors_file.h"

namespace whence::transformer {

inline std::filesystem::path architecture_cases() { return own_model("architectures"); }

/// A checkpoint of tools/fixtures/make_architectures.py, which says what is stored beside it.
class ArchitectureCase {
 public:
  explicit ArchitectureCase(const std::string& name)
      : folder_(architecture_cases() / name), expected_(folder_ / "expected.safetensors") {}

  const std::filesystem::path& folder() const { return folder_; }
  Tensor operator[](const char* name) const { return expected_.load(name); }
  Tensor ids(const char* name) const { return expected_.load(name).to(at::kLong); }
  TokenIds tokens(const char* name) const { return to_tokens(ids(name)); }

  /// The rows of `ids`, each as long as `lengths` says.
  std::vector<TokenIds> texts(const char* ids_name = "ids", const char* lengths_name = "lengths") const {
    const Tensor rows = ids(ids_name), lengths = ids(lengths_name);
    std::vector<TokenIds> texts;
    for (std::int64_t b = 0; b < rows.size(0); ++b)
      texts.push_back(to_tokens(rows[b].narrow(0, 0, lengths[b].item<std::int64_t>())));
    return texts;
  }

 private:
  static TokenIds to_tokens(const Tensor& ids) {
    return {ids.const_data_ptr<std::int64_t>(), ids.const_data_ptr<std::int64_t>() + ids.numel()};
  }

  std::filesystem::path folder_;
  SafetensorsFile expected_;
};

/// max |got - expected| / (1 + |expected|)
inline double deviation(const Tensor& got, const Tensor& expected) {
  EXPECT_EQ(got.sizes(), expected.sizes());
  return ((got - expected).abs() / (1 + expected.abs())).max().item<double>();
}

/// The largest difference of a step over its largest number, of the worst step: [L,T,...].
inline double step_deviation(const Tensor& got, const Tensor& expected) {
  EXPECT_EQ(got.sizes(), expected.sizes());
  const auto largest = [](const Tensor& x) { return x.abs().transpose(0, 1).flatten(1).amax(1); };
  return (largest(got - expected) / largest(expected)).max().item<double>();
}

/// Fails above `most`, and records the deviation for the table of docs/architectures.md.
inline void expect_deviation(const char* what, double deviation, double most) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", deviation);
  ::testing::Test::RecordProperty(what, text);
  EXPECT_LE(deviation, most) << what;
}

}  // namespace whence::transformer
