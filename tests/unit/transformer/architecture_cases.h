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

/// Every checkpoint of tools/fixtures/make_architectures.py.
inline const std::vector<const char*> kArchitectureCases = {"bart",
                                                            "bart_scaled",
                                                            "biogpt",
                                                            "bloom",
                                                            "bloom_residual_after_norm",
                                                            "codegen",
                                                            "cohere",
                                                            "cohere_query_key_norm",
                                                            "dbrx",
                                                            "dbrx_clip",
                                                            "falcon",
                                                            "falcon_alibi",
                                                            "falcon_new",
                                                            "falcon_new_one_norm",
                                                            "falcon_sequential",
                                                            "fsmt",
                                                            "gemma",
                                                            "gemma2",
                                                            "gemma3_text",
                                                            "gemma3_text_softcap",
                                                            "gpt2",
                                                            "gpt2_scaled_by_layer",
                                                            "gpt_bigcode",
                                                            "gpt_bigcode_multi_head",
                                                            "gpt_neo",
                                                            "gpt_neox",
                                                            "gpt_neox_sequential",
                                                            "gptj",
                                                            "granite",
                                                            "granitemoe",
                                                            "llama",
                                                            "m2m_100",
                                                            "marian",
                                                            "marian_two_vocabularies",
                                                            "mbart",
                                                            "mistral",
                                                            "mixtral",
                                                            "mixtral_window",
                                                            "mpt",
                                                            "mpt_options",
                                                            "mt5",
                                                            "nemotron",
                                                            "nemotron_head",
                                                            "nllb-moe",
                                                            "olmo",
                                                            "olmo2",
                                                            "olmo_clip",
                                                            "olmoe",
                                                            "olmoe_clip",
                                                            "openai-gpt",
                                                            "opt",
                                                            "opt_post_norm_projected",
                                                            "pegasus",
                                                            "phi",
                                                            "phi3",
                                                            "phi3_longrope",
                                                            "phi_query_key_norm",
                                                            "qwen2",
                                                            "qwen2_moe",
                                                            "qwen2_moe_dense_layers",
                                                            "qwen3",
                                                            "qwen3_moe",
                                                            "qwen3_moe_dense_layers",
                                                            "seamless_m4t",
                                                            "seamless_m4t_v2",
                                                            "smollm3",
                                                            "stablelm",
                                                            "stablelm_parallel",
                                                            "starcoder2",
                                                            "starcoder2_window",
                                                            "t5",
                                                            "t5_gated",
                                                            "umt5",
                                                            "xglm"};

inline std::filesystem::path architecture_cases() { return own_model("architectures"); }

/// A checkpoint with what is stored beside it; the script says what that is.
class ArchitectureCase {
 public:
  explicit ArchitectureCase(const std::string& name)
      : folder_(architecture_cases() / name), expected_(folder_ / "expected.safetensors") {}

  const std::filesystem::path& folder() const { return folder_; }
  bool has(const std::string& name) const { return expected_.has(name); }
  Tensor operator[](const std::string& name) const { return expected_.load(name); }
  Tensor ids(const std::string& name) const { return expected_.load(name).to(at::kLong); }
  TokenIds tokens(const std::string& name) const { return to_tokens(ids(name)); }

  /// The rows of one tensor, each as long as another says.
  std::vector<TokenIds> texts(const char* ids_name, const char* lengths_name) const {
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
