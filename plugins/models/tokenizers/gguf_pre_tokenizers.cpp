#include "gguf_pre_tokenizers.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace whence {
namespace {

// The patterns are those of the models' own tokenizer files; the names, and which patterns a name stands for, are those
// of GGUF files as llama.cpp reads them.

constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kDigits = R"(\p{N}+)";
constexpr const char* kThreeDigits = R"([0-9][0-9][0-9])";
constexpr const char* kUpToThreeDigits = R"(\p{N}{1,3})";
constexpr const char* kLineBreak = R"([\r\n])";
constexpr const char* kTrailingSpace = R"(\s+$)";
constexpr const char* kLetters = R"(\s?\p{L}+)";
constexpr const char* kPunctuation = R"(\s?\p{P}+)";

/// cl100k: words with one leading non-letter, numbers of up to three digits.
constexpr const char* kGpt4 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
/// The same with single digits.
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
/// o200k: words also end where lower case turns into upper case.
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                                R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                                R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Single digits, and marks (vowel signs, accents) belong to the letters.
constexpr const char* kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// cl100k with runs of spaces cut into powers of two.
constexpr const char* kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S))"
    R"(|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr const char* kMinicpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n])"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";
/// Qwen2's without the English contractions, so that Turkish suffixes stay with their apostrophe.
constexpr const char* kUfakzeka =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// Words of a phrase stay together.
constexpr const char* kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
/// o200k with Chinese characters apart from the letters.
constexpr const char* kKimi =
    R"([\p{Han}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// o200k with single digits, after the scripts of kYoutuScripts.
constexpr const char* kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
    R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F})"
    R"(\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
/// Numbers in groups of three from their end.
constexpr const char* kGroupsFromEnd = R"(\d{1,3}(?=(?:\d{3})*\b))";
constexpr const char* kBoundariesFromEnd = R"((?=(\d{3})+(?!\d)))";
constexpr const char* kAfmoeDigits = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
constexpr const char* kAfmoeAsian =
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F})"
    R"(\x{2F00}-\x{2FDF}\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F})"
    R"(\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)";
constexpr const char* kLines = R"([^\n]+|[\n]+)";
constexpr const char* kSentinel = R"(<sentinel:[0-9]+>)";
constexpr const char* kImageToken = R"((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)";
constexpr const char* kChameleonSpaces = R"(([\t\n]|    |  ))";
constexpr const char* kChameleonMarks = R"([\p{P}!-/:-@\[-`{-~])";

constexpr const char* kDeepseekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
    R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B})"
    R"(\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC})"
    R"(\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134})"
    R"(\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787})"
    R"(\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
    R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)";
constexpr const char* kDeepseekMarks =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr const char* kDeepseekAsian = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr const char* kDeepseekV3Asian = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr const char* kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The same with line breaks on their own.
constexpr const char* kSpark = R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
                               R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";

constexpr const char* kMarks = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr const char* kFalconMarks = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr const char* kBloom = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

/// Sorted by name.
constexpr std::array kPreTokenizers = {
    GgufPreTokenizer{.name = "a.x-4.0", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "afmoe", .patterns = {kAfmoeDigits, kAfmoeAsian, kDeepseekV3}},
    GgufPreTokenizer{.name = "bailingmoe", .patterns = {kBailing}},
    GgufPreTokenizer{.name = "bailingmoe2", .patterns = {kBailing}},
    GgufPreTokenizer{.name = "bloom", .patterns = {kBloom}},
    GgufPreTokenizer{.name = "chameleon",
                     .patterns = {kSentinel, kImageToken, kChameleonSpaces, kDigit, kChameleonMarks, kGpt2},
                     .adds_bos = true},
    GgufPreTokenizer{.name = "chatglm-bpe", .patterns = {kGpt4}},
    GgufPreTokenizer{.name = "codeshell", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "cohere2moe", .patterns = {kGroupsFromEnd, kGpt4o}},
    GgufPreTokenizer{.name = "command-r", .patterns = {kDigit, kGpt2}, .composes = true},
    GgufPreTokenizer{.name = "dbrx", .patterns = {kGpt4}},
    GgufPreTokenizer{.name = "deepseek-coder",
                     .patterns = {kLineBreak, kLetters, kPunctuation, kDeepseekAsian, kDigit}},
    GgufPreTokenizer{
        .name = "deepseek-llm",
        .patterns = {kLineBreak, kDeepseekLetters, kDeepseekMarks, kTrailingSpace, kDeepseekAsian, kDigits}},
    GgufPreTokenizer{.name = "deepseek-r1-qwen", .patterns = {kQwen2}, .composes = true},
    GgufPreTokenizer{.name = "deepseek-v3", .patterns = {kUpToThreeDigits, kDeepseekV3Asian, kDeepseekV3}},
    GgufPreTokenizer{.name = "default", .patterns = {kMarks, kGpt2, kDigits, kThreeDigits}},
    GgufPreTokenizer{.name = "exaone", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "exaone-moe", .patterns = {kExaoneMoe}},
    GgufPreTokenizer{.name = "exaone4", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "f2llmv2", .patterns = {kQwen2}, .composes = true},
    GgufPreTokenizer{.name = "falcon", .patterns = {kFalconMarks, kGpt2, kThreeDigits}},
    GgufPreTokenizer{.name = "falcon-h1", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "falcon3", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "gemma4", .patterns = {kLines}, .adds_bos = true, .byte_level = false},
    GgufPreTokenizer{.name = "gigachat", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "glm4", .patterns = {kGpt4}},
    GgufPreTokenizer{.name = "gpt-2", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "gpt-4o", .patterns = {kGpt4o}},
    GgufPreTokenizer{.name = "gpt3-finnish", .patterns = {kBloom}},
    GgufPreTokenizer{.name = "granite-docling", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "granite-embed-multi-311m", .patterns = {kLines}, .adds_bos = true, .byte_level = false},
    GgufPreTokenizer{.name = "granite-embed-multi-97m", .patterns = {kGpt4o}, .ignores_merges = true},
    GgufPreTokenizer{.name = "grok-2", .patterns = {kQwen2}},
    GgufPreTokenizer{.name = "hunyuan", .patterns = {kQwen2}},
    GgufPreTokenizer{.name = "hunyuan-dense", .patterns = {kUpToThreeDigits, kDeepseekV3Asian, kDeepseekV3}},
    GgufPreTokenizer{.name = "hy_v4", .patterns = {kUpToThreeDigits, kDeepseekV3Asian, kDeepseekV3}},
    GgufPreTokenizer{.name = "jais", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jais-2", .patterns = {kJais2}},
    GgufPreTokenizer{.name = "jina-de", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-es", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-v1-en", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-v2-code", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-v2-de", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-v2-es", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "jina-v5-nano", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "joyai-llm", .patterns = {kUpToThreeDigits, kDeepseekV3Asian, kDeepseekV3}},
    GgufPreTokenizer{.name = "kanana2", .patterns = {kGpt4o}},
    GgufPreTokenizer{.name = "kimi-k2", .patterns = {kKimi}},
    GgufPreTokenizer{.name = "kormo", .patterns = {kQwen2}},
    GgufPreTokenizer{.name = "laguna", .patterns = {kLines, kQwen2}},
    GgufPreTokenizer{.name = "lfm2", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "llada-moe", .patterns = {kBailing}},
    GgufPreTokenizer{.name = "llama-bpe", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "llama-v3", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "llama3", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "llama4", .patterns = {kGpt4o}},
    GgufPreTokenizer{.name = "megrez", .patterns = {kQwen2}, .composes = true},
    GgufPreTokenizer{.name = "mellum", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "mellum2", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "midm-2.0", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "minerva-7b", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "minicpm5", .patterns = {kUpToThreeDigits, kMinicpm5}, .ignores_merges = true},
    GgufPreTokenizer{.name = "minimax-m2", .patterns = {kGpt4o}},
    GgufPreTokenizer{.name = "modern-bert", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "mpt", .patterns = {kGpt2}, .composes = true},
    GgufPreTokenizer{.name = "olmo", .patterns = {kGpt2}, .composes = true},
    GgufPreTokenizer{.name = "phi-2", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "pixtral", .patterns = {kGpt4}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "poro-chat", .patterns = {kBloom}},
    GgufPreTokenizer{.name = "qwen2", .patterns = {kQwen2}, .composes = true},
    GgufPreTokenizer{.name = "qwen35", .patterns = {kQwen35}, .composes = true},
    GgufPreTokenizer{.name = "refact", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "roberta-bpe", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "sarvam-moe", .patterns = {kLines}, .byte_level = false},
    GgufPreTokenizer{.name = "seed-coder", .patterns = {kSeedCoder}},
    GgufPreTokenizer{.name = "smaug-bpe", .patterns = {kGpt4}},
    GgufPreTokenizer{.name = "smollm", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "solar-open", .patterns = {kQwen2}},
    GgufPreTokenizer{.name = "spark2_5", .patterns = {kUpToThreeDigits, kDeepseekV3Asian, kSpark, kDigit}},
    GgufPreTokenizer{.name = "stablelm2", .patterns = {kQwen2}},
    GgufPreTokenizer{.name = "starcoder", .patterns = {kDigit, kGpt2}},
    GgufPreTokenizer{.name = "superbpe", .patterns = {kDigits, kBoundariesFromEnd}},
    GgufPreTokenizer{.name = "talkie", .patterns = {kGpt4o}},
    GgufPreTokenizer{.name = "tekken", .patterns = {kTekken}, .adds_bos = true, .ignores_merges = true},
    GgufPreTokenizer{.name = "tiny_aya", .patterns = {kGroupsFromEnd, kGpt4o}},
    GgufPreTokenizer{.name = "trillion", .patterns = {kGpt2}},
    GgufPreTokenizer{.name = "ufakzeka", .patterns = {kUfakzeka}},
    GgufPreTokenizer{.name = "viking", .patterns = {kBloom, kDigit}},
    GgufPreTokenizer{.name = "youtu", .patterns = {kYoutuScripts, kYoutu}, .ignores_merges = true},
};

}  // namespace

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) {
  const auto found = std::find_if(kPreTokenizers.begin(), kPreTokenizers.end(),
                                  [&](const GgufPreTokenizer& entry) { return entry.name == name; });
  return found == kPreTokenizers.end() ? nullptr : &*found;
}

nlohmann::json to_json(const GgufPreTokenizer& pre_tokenizer) {
  auto steps = nlohmann::json::array();
  for (const auto* pattern : pre_tokenizer.patterns) {
    if (pattern == nullptr) break;
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  if (pre_tokenizer.byte_level) steps.push_back(byte_level_json());
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

nlohmann::json byte_level_json() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

std::vector<std::string> gguf_pre_tokenizer_names() {
  std::vector<std::string> names;
  for (const auto& entry : kPreTokenizers) names.emplace_back(entry.name);
  return names;
}

}  // namespace whence
