#include "whence/removal_choice.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "whence/error.h"

namespace whence {
namespace {

Removal removal_of(const std::string& name) {
  if (name == "delete") return Removal::erase;
  if (name == "mask") return Removal::mask;
  if (name == "token") return Removal::token;
  if (name == "zero") return Removal::zero;
  if (name == "mean") return Removal::mean;
  if (name == "baseline") return Removal::baseline;
  throw UnknownName({}, "removal", name, {"baseline", "delete", "mask", "mean", "token", "zero"});
}

}  // namespace

RemovalChoice::RemovalChoice(const Params& params)
    : removal_(removal_of(params.get<std::string>("removal"))),
      token_(params.has("token") ? params.get<std::string>("token") : "") {
  if (removal_ != Removal::token && !token_.empty())
    throw ConfigError("token: has no effect with removal: " + params.get<std::string>("removal") +
                      "; choose removal: token");
  if (removal_ == Removal::token && token_.empty()) token_ = "unk";
}

std::int64_t RemovalChoice::id(const Tokenizer& tokenizer) const {
  const SpecialIds& special = tokenizer.special_ids();
  if (token_ == "unk") {
    if (special.unknown) return *special.unknown;
    throw ConfigError("token: the tokenizer has no unknown token; name another token");
  }
  if (token_ == "pad") {
    if (special.pad) return *special.pad;
    throw ConfigError("token: the tokenizer has no padding token; name another token");
  }
  if (token_ == "mask")
    for (const char* mask : {"[MASK]", "<mask>"})
      if (const auto id = tokenizer.id(mask)) return *id;
  if (const auto id = tokenizer.id(token_)) return *id;
  const TokenIds ids = tokenizer.encode(token_, {.add_special_tokens = false}).ids;
  if (ids.size() != 1)
    throw ConfigError("token: '" + token_ + "' is " + std::to_string(ids.size()) +
                      " tokens of this tokenizer; expected text of one token, or unk, pad, mask or random");
  return ids.front();
}

void RemovalChoice::complete(const Problem& problem, std::int64_t draw, Variants& variants) const {
  variants.removal = {removal_};
  if (removal_ != Removal::token) return;
  for (const Side side : {Side::source, Side::target}) {
    const Tensor& mask = side == Side::source ? variants.source_mask : variants.target_mask;
    if (!mask.defined()) continue;
    const Tokenizer& tokenizer = problem.model().tokenizer().on(side);
    const std::int64_t length = problem.length(side);
    Tensor ids;
    if (is_random()) {
      const TokenIds& special = tokenizer.all_special_ids();
      TokenIds plain;
      for (std::int64_t id = 0; id < problem.model().info().vocabulary; ++id)
        if (!std::binary_search(special.begin(), special.end(), id)) plain.push_back(id);
      if (plain.empty()) throw ConfigError("token: random, but every token of the vocabulary is special");
      const Tensor vocabulary = at::tensor(plain, at::kLong);
      std::vector<Tensor> rows;
      const std::string purpose = side == Side::source ? "removed source tokens" : "removed target tokens";
      for (std::int64_t b = 0; b < problem.batch_size(); ++b)
        rows.push_back(vocabulary.index_select(0, problem.random(b, purpose, draw).choice(std::ssize(plain), length)));
      ids = at::stack(rows);
    } else {
      ids = at::full({problem.batch_size(), length}, id(tokenizer), at::kLong);
    }
    (side == Side::source ? variants.source_ids : variants.target_ids) =
        ids.unsqueeze(0).expand({mask.size(0), problem.batch_size(), length});
  }
}

}  // namespace whence
