#include "tokenizer_class.h"

#include <algorithm>
#include <array>
#include <utility>

namespace whence {
namespace {

constexpr TokenizerClass kPlainClass = {.name = "PreTrainedTokenizer"};

constexpr const char* kEndOfText = "<|endoftext|>";

/// A class with the special tokens of fairseq.
constexpr TokenizerClass fairseq(const char* name, Layout layout, bool mask_is_normalized = false) {
  return {.name = name,
          .bos = "<s>",
          .eos = "</s>",
          .unknown = "<unk>",
          .pad = "<pad>",
          .layout = layout,
          .mask = "<mask>",
          .mask_is_normalized = mask_is_normalized,
          .separator = "</s>",
          .classifier = "<s>"};
}

constexpr TokenizerClass without_mask(TokenizerClass kind) {
  kind.mask = nullptr;
  return kind;
}

constexpr TokenizerClass without_bos(TokenizerClass kind) {
  kind.bos = nullptr;
  return kind;
}

constexpr std::array kClasses = {
    TokenizerClass{"LlamaTokenizer", "<s>", "</s>", "<unk>", nullptr, Layout::llama, true, true, false},
    TokenizerClass{"CodeLlamaTokenizer", "<s>", "</s>", "<unk>", nullptr, Layout::none, true, true},
    TokenizerClass{"GemmaTokenizer", "<bos>", "<eos>", "<unk>", "<pad>", Layout::gemma, true, true},
    TokenizerClass{"CohereTokenizer", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", nullptr, Layout::none, true,
                   true},
    TokenizerClass{"GPTNeoXTokenizer", kEndOfText, kEndOfText, kEndOfText, nullptr, Layout::none, true, false},
    TokenizerClass{"GPT2Tokenizer", kEndOfText, kEndOfText, kEndOfText, nullptr, Layout::byte_level},
    TokenizerClass{"CodeGenTokenizer", kEndOfText, kEndOfText, kEndOfText, nullptr, Layout::byte_level},
    TokenizerClass{"Qwen2Tokenizer", nullptr, kEndOfText, kEndOfText, kEndOfText, Layout::qwen2},
    TokenizerClass{.name = "OpenAIGPTTokenizer", .unknown = "<unk>", .layout = Layout::word_ends},
    TokenizerClass{"BloomTokenizer", "<s>", "</s>", "<unk>", "<pad>"},
    fairseq("BartTokenizer", Layout::bart, true),
    fairseq("RobertaTokenizer", Layout::bart, true),
    fairseq("BlenderbotTokenizer", Layout::blenderbot),
    fairseq("MBartTokenizer", Layout::mbart),
    without_bos(fairseq("MBart50Tokenizer", Layout::mbart50, true)),
    fairseq("NllbTokenizer", Layout::nllb, true),
    without_mask(fairseq("SeamlessM4TTokenizer", Layout::seamless)),
    without_mask(fairseq("XGLMTokenizer", Layout::xglm)),
    TokenizerClass{"T5Tokenizer", nullptr, "</s>", "<unk>", "<pad>", Layout::t5, false, false, false},
    TokenizerClass{.name = "PegasusTokenizer",
                   .eos = "</s>",
                   .unknown = "<unk>",
                   .pad = "<pad>",
                   .layout = Layout::pegasus,
                   .mask = "<mask_2>"},
    TokenizerClass{
        .name = "MarianTokenizer", .eos = "</s>", .unknown = "<unk>", .pad = "<pad>", .layout = Layout::marian},
    TokenizerClass{.name = "M2M100Tokenizer",
                   .bos = "<s>",
                   .eos = "</s>",
                   .unknown = "<unk>",
                   .pad = "<pad>",
                   .layout = Layout::m2m_100},
    TokenizerClass{.name = "FSMTTokenizer",
                   .bos = "<s>",
                   .unknown = "<unk>",
                   .pad = "<pad>",
                   .layout = Layout::fsmt,
                   .separator = "</s>"},
    TokenizerClass{.name = "BioGptTokenizer",
                   .bos = "<s>",
                   .eos = "</s>",
                   .unknown = "<unk>",
                   .pad = "<pad>",
                   .layout = Layout::biogpt,
                   .separator = "</s>"},
};

constexpr std::array<std::pair<std::string_view, std::string_view>, 44> kClassOfModelType = {{
    {"llama", "LlamaTokenizer"},
    {"mistral", "LlamaTokenizer"},
    {"mixtral", "LlamaTokenizer"},
    {"phi3", "LlamaTokenizer"},
    {"gemma", "GemmaTokenizer"},
    {"gemma2", "GemmaTokenizer"},
    {"gemma3_text", "GemmaTokenizer"},
    {"cohere", "CohereTokenizer"},
    {"cohere2", "CohereTokenizer"},
    {"gpt_neox", "GPTNeoXTokenizer"},
    {"olmo", "GPTNeoXTokenizer"},
    {"olmo2", "GPTNeoXTokenizer"},
    {"mpt", "GPTNeoXTokenizer"},
    {"gpt2", "GPT2Tokenizer"},
    {"gpt_neo", "GPT2Tokenizer"},
    {"gptj", "GPT2Tokenizer"},
    {"gpt_bigcode", "GPT2Tokenizer"},
    {"opt", "GPT2Tokenizer"},
    {"dbrx", "GPT2Tokenizer"},
    {"granite", "GPT2Tokenizer"},
    {"granitemoe", "GPT2Tokenizer"},
    {"starcoder2", "GPT2Tokenizer"},
    {"codegen", "CodeGenTokenizer"},
    {"phi", "CodeGenTokenizer"},
    {"openai-gpt", "OpenAIGPTTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},
    {"qwen2_moe", "Qwen2Tokenizer"},
    {"qwen3", "Qwen2Tokenizer"},
    {"qwen3_moe", "Qwen2Tokenizer"},
    {"bloom", "BloomTokenizer"},
    {"bart", "BartTokenizer"},
    {"t5", "T5Tokenizer"},
    {"mt5", "T5Tokenizer"},
    {"umt5", "T5Tokenizer"},
    {"pegasus", "PegasusTokenizer"},
    {"mbart", "MBartTokenizer"},
    {"nllb-moe", "NllbTokenizer"},
    {"seamless_m4t", "SeamlessM4TTokenizer"},
    {"seamless_m4t_v2", "SeamlessM4TTokenizer"},
    {"xglm", "XGLMTokenizer"},
    {"marian", "MarianTokenizer"},
    {"m2m_100", "M2M100Tokenizer"},
    {"fsmt", "FSMTTokenizer"},
    {"biogpt", "BioGptTokenizer"},
}};

}  // namespace

const TokenizerClass& find_tokenizer_class(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  if (name == "MT5Tokenizer") name = "T5Tokenizer";
  const auto found =
      std::find_if(kClasses.begin(), kClasses.end(), [&](const TokenizerClass& kind) { return name == kind.name; });
  return found == kClasses.end() ? kPlainClass : *found;
}

std::string_view tokenizer_class_of(std::string_view model_type) {
  const auto found = std::find_if(kClassOfModelType.begin(), kClassOfModelType.end(),
                                  [&](const auto& entry) { return model_type == entry.first; });
  return found == kClassOfModelType.end() ? std::string_view() : found->second;
}

}  // namespace whence
