#include "host/state_alignment.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "host/token_alignment.h"
#include "whence/error.h"
#include "whence/token_text.h"

namespace whence::host {
namespace {

constexpr double kLeast = 1e-3;  // of both softmaxes
constexpr double kSmallestDeviation = 1e-6;

/// A text as the aligner sees it: its tokens that write something.
struct AlignerText {
  Tensor states;            ///< [n,D]
  std::vector<Span> spans;  ///< of each, in characters
};

/// Spans of bytes in characters.
std::vector<Span> in_characters(const TokenText& text) {
  std::vector<std::int64_t> before{0};  // characters that begin before each byte
  for (const char byte : text.text)
    before.push_back(before.back() + ((static_cast<unsigned char>(byte) & 0xC0) != 0x80));
  std::vector<Span> spans;
  for (const Span& bytes : text.bytes)
    spans.push_back({before[static_cast<std::size_t>(bytes.start)], before[static_cast<std::size_t>(bytes.end)]});
  return spans;
}

AlignerText read_text(const Model& aligner, std::int64_t layer, const std::string& text) {
  const ModelInfo& info = aligner.info();
  const bool has_encoder = info.kind == ModelKind::encoder_decoder;
  const Side side = has_encoder ? Side::source : Side::target;
  const Encoding encoding = aligner.tokenizer().on(side).encode(text);
  const std::int64_t length = std::ssize(encoding.ids);
  if (info.max_positions > 0 && length > info.max_positions)
    throw InputError("a text to align has " + std::to_string(length) + " tokens, the context of the aligner '" +
                     info.name + "' holds " + std::to_string(info.max_positions) + "; choose another alignment");
  AlignerText result;
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < length; ++i) {
    const Span& span = encoding.offsets[static_cast<std::size_t>(i)];
    if (encoding.special[static_cast<std::size_t>(i)] || span.size() == 0) continue;
    kept.push_back(i);
    result.spans.push_back(span);
  }
  if (kept.empty()) {
    result.states = at::zeros({0, info.hidden});
    return result;
  }
  const auto batch = [](const TokenIds& ids) {
    return PaddedIds{at::tensor(ids, at::kLong).unsqueeze(0), at::tensor({std::ssize(ids)}, at::kLong)};
  };
  Inputs inputs;
  (has_encoder ? inputs.source : inputs.target) = batch(encoding.ids);
  if (has_encoder) inputs.target = batch({info.decoder_start.value_or(0)});
  ForwardRequest request{.positions = at::tensor({has_encoder ? std::int64_t{0} : length - 1}, at::kLong).unsqueeze(0)};
  request.sites = {{side, layer}};
  result.states = aligner.forward(inputs, request).states.at(0)[0].index_select(0, at::tensor(kept, at::kLong));
  return result;
}

/// [n,m]: dot products of the states of both texts, with every unit at mean 0 and variance 1 over them, since a few
/// units and what all states have in common would outweigh the rest.
Tensor similarities(const Tensor& one, const Tensor& other) {
  const Tensor all = at::cat({one, other});
  const Tensor mean = all.mean(0), deviation = all.std(0, /*unbiased=*/false).clamp_min(kSmallestDeviation);
  return at::matmul((one - mean) / deviation, ((other - mean) / deviation).t());
}

/// [tokens,n]: the share of each aligner token's letters that each token writes.
Tensor shares(const std::vector<Span>& tokens, const std::vector<Span>& aligner_tokens) {
  const Tensor result = at::zeros({std::ssize(tokens), std::ssize(aligner_tokens)});
  auto share = result.accessor<float, 2>();
  for (std::size_t t = 0; t < tokens.size(); ++t)
    for (std::size_t n = 0; n < aligner_tokens.size(); ++n) {
      const std::int64_t common =
          std::min(tokens[t].end, aligner_tokens[n].end) - std::max(tokens[t].start, aligner_tokens[n].start);
      if (common > 0)
        share[static_cast<std::int64_t>(t)][static_cast<std::int64_t>(n)] =
            static_cast<float>(common) / static_cast<float>(aligner_tokens[n].size());
    }
  return result;
}

/// The special tokens of a text and where they stand.
std::vector<AlignableToken> specials_of(const Tokenizer& tokenizer, const TokenIds& ids, std::vector<std::size_t>& at) {
  std::vector<AlignableToken> specials;
  const std::vector<AlignableToken> tokens = alignable_tokens(tokenizer, ids);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].special) continue;
    specials.push_back(tokens[i]);
    at.push_back(i);
  }
  return specials;
}

}  // namespace

Tensor mutual_alignment(const Tensor& similarities) {
  const Tensor rows = at::softmax(similarities, 1), columns = at::softmax(similarities, 0);
  return at::where((rows > kLeast).logical_and(columns > kLeast), rows * columns, 0.0);
}

std::vector<std::int64_t> align_by_states(const Model& aligner, std::optional<std::int64_t> layer,
                                          const Tokenizer& tokenizer, const TokenIds& text, const TokenIds& other) {
  const ModelInfo& info = aligner.info();
  const std::int64_t blocks = info.kind == ModelKind::encoder_decoder ? info.encoder_layers : info.layers;
  const std::int64_t block = layer.value_or(2 * blocks / 3);
  if (block > blocks)
    throw ConfigError("the aligner '" + info.name + "' has no layer " + std::to_string(block) + "; expected 0 to " +
                      std::to_string(blocks));
  const TokenText own = token_text(tokenizer, text), others = token_text(tokenizer, other);
  const AlignerText one = read_text(aligner, block, own.text), another = read_text(aligner, block, others.text);
  std::vector<std::int64_t> partners(text.size(), -1);
  if (one.spans.size() > 0 && another.spans.size() > 0) {
    const Tensor alike = mutual_alignment(similarities(one.states, another.states));
    const Tensor common = at::matmul(at::matmul(shares(in_characters(own), one.spans), alike),
                                     shares(in_characters(others), another.spans).t());
    for (std::int64_t t = 0; t < common.size(0); ++t)
      if (common[t].max().item<float>() > 0)
        partners[static_cast<std::size_t>(t)] = common[t].argmax().item<std::int64_t>();
  }
  std::vector<std::size_t> at, other_at;
  const auto specials = specials_of(tokenizer, text, at), other_specials = specials_of(tokenizer, other, other_at);
  const std::vector<std::int64_t> paired = align_tokens(specials, other_specials);
  for (std::size_t i = 0; i < paired.size(); ++i)
    if (paired[i] >= 0) partners[at[i]] = static_cast<std::int64_t>(other_at[static_cast<std::size_t>(paired[i])]);
  return partners;
}

}  // namespace whence::host
