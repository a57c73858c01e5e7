#include "unread_settings.h"

#include <algorithm>
#include <set>

#include "whence/generation_options.h"

namespace whence::transformer {
namespace {

/// Settings of training, of other libraries and of other tasks, and what is read elsewhere. Whatever is below one of
/// them counts, too.
const std::set<std::string, std::less<>> kOfNoPart = {"_attn_implementation",
                                                      "_name_or_path",
                                                      "architectures",
                                                      "auto_map",
                                                      "bos_token_id",
                                                      "cache_implementation",
                                                      "chunk_size_feed_forward",
                                                      "decoder_start_token_id",
                                                      "dtype",
                                                      "eos_token_id",
                                                      "gradient_checkpointing",
                                                      "id2label",
                                                      "init_std",
                                                      "initializer_factor",
                                                      "initializer_range",
                                                      "is_decoder",
                                                      "is_encoder_decoder",
                                                      "label2id",
                                                      "model_type",
                                                      "num_labels",
                                                      "output_attentions",
                                                      "output_hidden_states",
                                                      "output_past",
                                                      "output_router_logits",
                                                      "pad_token_id",
                                                      "prefix",
                                                      "pretraining_tp",
                                                      "problem_type",
                                                      "pruned_heads",
                                                      "quantization_config",
                                                      "return_dict",
                                                      "router_aux_loss_coef",
                                                      "router_dtype",
                                                      "router_jitter_noise",
                                                      "router_z_loss_coef",
                                                      "sep_token_id",
                                                      "task_specific_params",
                                                      "tokenizer_class",
                                                      "torch_dtype",
                                                      "torchscript",
                                                      "transformers_version",
                                                      "unk_token_id",
                                                      "use_bfloat16",
                                                      "use_cache",
                                                      "vocab_size"};

/// Whether `key` is `other` or lies below it; a star at the end of `other` stands for anything.
bool within(std::string_view key, std::string_view other) {
  if (other.ends_with('*')) return key.starts_with(other.substr(0, other.size() - 1));
  return key.starts_with(other) && (key.size() == other.size() || key[other.size()] == '.');
}

}  // namespace

std::vector<std::string> unread_settings(const Architecture& architecture, const HyperParameters& checkpoint) {
  std::vector<std::string> read = named_keys(architecture.options, checkpoint.format());
  const auto generation = generation_option_names();
  read.insert(read.end(), generation.begin(), generation.end());
  std::vector<std::string> result;
  for (const std::string& key : checkpoint.keys()) {
    const std::string_view first = std::string_view(key).substr(0, key.find('.'));
    const bool is_read = kOfNoPart.contains(first) || key.find("drop") != std::string::npos ||
                         std::ranges::any_of(read, [&](const std::string& one) { return within(key, one); });
    if (!is_read) result.push_back(key + ": " + describe(checkpoint.find(key)));
  }
  return result;
}

}  // namespace whence::transformer
