#include "checkpoint_examination.h"

#include <algorithm>
#include <set>

#include "checkpoint.h"
#include "checkpoint_generation.h"
#include "stack_weights.h"
#include "unread_settings.h"
#include "weight_policy.h"

namespace whence::transformer {
namespace {

TokenizerReport describe_tokenizer(const Tokenizer& tokenizer, const TokenizerFiles& files) {
  const auto size = [](const Tokenizer& of) {
    std::int64_t count = 0;
    while (of.token(count)) ++count;
    return count;
  };
  TokenizerReport report{.kind = files.kind,
                         .source = files.source,
                         .pre_tokenizer = files.pre_tokenizer,
                         .size = size(tokenizer),
                         .target_size = {},
                         .special = {}};
  const Tokenizer& target = tokenizer.on(Side::target);
  if (const std::int64_t of_target = size(target); of_target != report.size) report.target_size = of_target;
  const SpecialIds& ids = tokenizer.special_ids();
  for (const auto& [role, id] :
       {std::pair{"bos", ids.bos}, {"eos", ids.eos}, {"unknown", ids.unknown}, {"pad", ids.pad}})
    if (id) report.special.push_back({role, tokenizer.token(*id).value_or(""), *id});
  return report;
}

std::vector<StoredTensors> stored_tensors(const TensorStore& store) {
  std::vector<StoredTensors> result;
  for (const std::string& name : store.names()) {
    const RawTensor& tensor = store.raw(name);
    auto found = std::ranges::find(result, tensor.type->name, &StoredTensors::type);
    if (found == result.end())
      found =
          result.insert(result.end(), {.type = std::string(tensor.type->name), .tensors = 0, .numbers = 0, .bytes = 0});
    ++found->tensors;
    found->numbers += c10::multiply_integers(tensor.shape);
    found->bytes += std::ssize(tensor.bytes);
  }
  std::ranges::stable_sort(result, std::greater(), &StoredTensors::bytes);
  return result;
}

std::vector<CheckpointReport::Size> sizes_of(const TransformerConfig& config) {
  const DecoderConfig& decoder = config.decoder;
  const AttentionConfig& attention = decoder.attention;
  std::vector<CheckpointReport::Size> sizes;
  if (config.encoder) sizes.push_back({"encoder layers", std::ssize(config.encoder->layers)});
  sizes.push_back({config.encoder ? "decoder layers" : "layers", std::ssize(decoder.layers)});
  sizes.push_back({"hidden", decoder.hidden});
  if (decoder.width != decoder.hidden) sizes.push_back({"embedding", decoder.width});
  sizes.push_back({"heads", attention.heads});
  if (attention.key_value_heads != attention.heads) sizes.push_back({"key value heads", attention.key_value_heads});
  sizes.push_back({"head", attention.head_size});
  sizes.push_back({"inner", decoder.experts.count > 0 ? decoder.experts.each.inner : decoder.mlp.inner});
  if (decoder.experts.count > 0) {
    sizes.push_back({"experts", decoder.experts.count});
    sizes.push_back({"experts of a token", decoder.experts.chosen});
  }
  if (config.encoder && config.encoder->vocabulary != decoder.vocabulary)
    sizes.push_back({"source vocabulary", config.encoder->vocabulary});
  sizes.push_back({"vocabulary", decoder.vocabulary});
  sizes.push_back({"context", decoder.positions});
  return sizes;
}

class Examination {
 public:
  Examination(const ModelRequest& request, CheckpointReport& report)
      : request_(request), report_(report), checkpoint_(request, &report.problems) {}

  void run() {
    name_architecture();
    std::optional<TransformerConfig> config;
    if (checkpoint_.has_architecture()) config = read_config();
    attempt([&] { look_at_tokenizer(); });
    attempt([&] { report_.chat_templates = checkpoint_.chat_template()->sources(); });
    const bool has_tensors = attempt([&] {
      report_.stored = stored_tensors(checkpoint_.store());
      report_.description = checkpoint_.store().description();
      report_.memory.stored = checkpoint_.store().byte_size();
    });
    if (has_tensors && config && !is_quantised()) match_tensors(*config);
    if (config) report_.sizes = sizes_of(*config);
    if (config) attempt([&] { estimate_memory(*config); });
    attempt([&] {
      const std::string unsupported = read_checkpoint_generation(checkpoint_.path()).unsupported;
      if (!unsupported.empty()) report_.warnings.push_back(unsupported);
    });
  }

 private:
  template <class Step>
  bool attempt(const Step& step) {
    return transformer::attempt(&report_.problems, step);
  }

  void name_architecture() {
    report_.type_key = checkpoint_.type_key();
    report_.type = checkpoint_.type();
    if (!checkpoint_.has_architecture()) return;
    const Architecture& architecture = checkpoint_.architecture();
    report_.architecture = architecture.name;
    report_.architecture_file = architecture.options.mark().file;
    report_.class_name = checkpoint_.class_name();
    report_.kind = architecture.kind;
    report_.unread = unread_settings(architecture, checkpoint_.hyper_parameters());
  }

  bool is_quantised() const { return !checkpoint_.hyper_parameters().find("quantization_config").is_null(); }

  /// Every setting that cannot be is a problem. Without one of them the next may be read; a size has no substitute.
  std::optional<TransformerConfig> read_config() {
    const Architecture& architecture = checkpoint_.architecture();
    HyperParameters rest = checkpoint_.hyper_parameters();
    std::set<std::string> refused;
    std::optional<TransformerConfig> config;
    for (bool again = true; again;) {
      again = false;
      attempt([&] {
        try {
          config = read_transformer_config(architecture, rest);
        } catch (const OptionError& error) {
          // Asked for once more, it is needed.
          if (!refused.insert(error.key()).second) return;
          rest = rest.without(error.key());
          again = true;
          throw;
        }
      });
    }
    for (const Value* part :
         {&architecture.options, architecture.options.find("encoder"), architecture.options.find("decoder")})
      if (const Value* sizes = part ? part->find("sizes") : nullptr)
        for (const std::string& key : named_keys(*sizes, rest.format()))
          if (refused.contains(key)) return std::nullopt;
    return config;
  }

  void look_at_tokenizer() {
    const auto tokenizer = checkpoint_.unchecked_tokenizer();
    report_.tokenizer = describe_tokenizer(*tokenizer, checkpoint_.tokenizer_files());
    checkpoint_.check_vocabulary(*tokenizer);
  }

  void match_tensors(TransformerConfig& config) {
    std::vector<std::string> problems;
    WeightReader reader(checkpoint_.store(), checkpoint_.weight_names(), &problems);
    const bool whole = attempt([&] { read_transformer_weights(config, reader); });
    for (const std::string& problem : problems) report_.problems.push_back({ExitStatus::model, problem});
    if (!whole) return;
    report_.tensors = reader.use();
    report_.parameters = reader.parameters();
  }

  void estimate_memory(const TransformerConfig& config) {
    WeightPolicy policy = choose_weight_policy(request_, config);
    policy.resident = true;
    report_.memory.unpacked = weight_bytes(config, policy).resident;
    policy.resident = false;
    report_.memory.packed = weight_bytes(config, policy).scratch;
  }

  const ModelRequest& request_;
  CheckpointReport& report_;
  Checkpoint checkpoint_;
};

}  // namespace

CheckpointReport examine_checkpoint(const ModelRequest& request) {
  CheckpointReport report;
  attempt(&report.problems, [&] { Examination(request, report).run(); });
  return report;
}

}  // namespace whence::transformer
