#pragma once

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <zlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "checkpoint.h"
#include "host/yaml.h"
#include "transformer_model.h"

namespace whence::transformer {

/// The request that the host makes for `path`, with all architecture files of the project.
inline ModelRequest request_for(const std::filesystem::path& path) {
  ModelRequest request;
  request.path = path.string();
  for (const auto& entry : std::filesystem::directory_iterator(WHENCE_SOURCE_DIR "/configs/architectures"))
    if (entry.path().extension() == ".yaml") request.architectures.push_back(host::load_yaml(entry.path()));
  return request;
}

inline std::unique_ptr<Model> load_model(const ModelRequest& request) {
  return std::make_unique<TransformerModel>(Checkpoint(request), request);
}
inline std::unique_ptr<Model> load_model(const std::filesystem::path& path) { return load_model(request_for(path)); }

/// Places between the blocks of a decoder.
inline std::vector<LayerSite> decoder_sites(const std::vector<std::int64_t>& blocks) {
  std::vector<LayerSite> sites;
  for (const std::int64_t block : blocks) sites.push_back({Side::target, block});
  return sites;
}

inline std::filesystem::path case_model(const std::string& name) {
  return std::filesystem::path(WHENCE_TEST_DATA) / "cases/models" / name;
}
inline std::filesystem::path own_model(const std::string& name) {
  return std::filesystem::path(WHENCE_TEST_DATA) / "models" / name;
}

/// The checkpoints of tools/fixtures/make_llama_family.py, and those of make_gguf_architectures.py from qwen2_gguf on.
inline constexpr const char* kOwnModels[] = {"mistral_window",
                                             "qwen2_window",
                                             "qwen3",
                                             "smollm3",
                                             "llama_bias",
                                             "llama_linear",
                                             "llama_dynamic",
                                             "llama_llama3",
                                             "llama_yarn",
                                             "llama_longrope",
                                             "llama_sharded",
                                             "llama_bf16",
                                             "llama_bare",
                                             "llama_gguf",
                                             "qwen3_gguf",
                                             "qwen2_gguf",
                                             "gemma_gguf",
                                             "gemma2_gguf",
                                             "gemma3_gguf",
                                             "phi2_gguf",
                                             "phi3_gguf",
                                             "phi3_longrope_gguf",
                                             "gpt2_gguf",
                                             "gptneox_gguf",
                                             "gptneox_sequential_gguf",
                                             "falcon_gguf",
                                             "falcon_new_gguf",
                                             "mpt_gguf",
                                             "starcoder2_gguf",
                                             "stablelm_gguf",
                                             "stablelm_parallel_gguf",
                                             "olmo2_gguf",
                                             "granite_gguf",
                                             "mixtral_gguf"};
inline ModelRequest request_for_own(const std::string& name) {
  return request_for(name.ends_with("_gguf") ? own_model(name) / "model.gguf" : own_model(name));
}

/// SmolLM2-135M-Instruct, the real model that the set-up script fetches.
inline std::filesystem::path smollm2() {
  const char* folder = std::getenv("WHENCE_MODELS");
  return std::filesystem::path(folder ? folder : WHENCE_MODELS_DIR) / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

/// A JSON file, plain or gzip.
inline nlohmann::json read_json(const std::filesystem::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::string text;
  char buffer[1 << 16];
  for (int n; (n = gzread(file, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  gzclose(file);
  return nlohmann::json::parse(text);
}

/// expected.json or expected.json.gz of a stored reference case.
inline nlohmann::json read_case(const std::string& name) {
  const auto folder = std::filesystem::path(WHENCE_TEST_DATA) / "cases/cases" / name;
  return read_json(std::filesystem::exists(folder / "expected.json") ? folder / "expected.json"
                                                                     : folder / "expected.json.gz");
}

/// Right-padded batch; padded positions hold an id that no vocabulary has.
inline PaddedIds pad(const std::vector<TokenIds>& texts) {
  std::size_t longest = 0;
  for (const auto& text : texts) longest = std::max(longest, text.size());
  PaddedIds batch{at::full({std::ssize(texts), static_cast<std::int64_t>(longest)}, -7, at::kLong), {}};
  std::vector<std::int64_t> lengths;
  for (std::size_t b = 0; b < texts.size(); ++b) {
    lengths.push_back(std::ssize(texts[b]));
    batch.ids[static_cast<std::int64_t>(b)].narrow(0, 0, lengths[b]).copy_(at::tensor(texts[b], at::kLong));
  }
  batch.lengths = at::tensor(lengths, at::kLong);
  return batch;
}

inline Tensor positions(const std::vector<std::vector<std::int64_t>>& rows) {
  std::vector<std::int64_t> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat, at::kLong).view({std::ssize(rows), -1});
}

}  // namespace whence::transformer
