#include "stopping_criteria.h"

namespace whence::transformer {

std::optional<StopReason> StoppingCriteria::reason(const TokenIds& ids) const {
  if (std::find(config_.eos->begin(), config_.eos->end(), ids.back()) != config_.eos->end()) return StopReason::eos;
  if (config_.stop && holds_stop_text(ids)) return StopReason::stop_text;
  if (std::ssize(ids) >= limit_) return StopReason::length;
  return {};
}

bool StoppingCriteria::holds_stop_text(const TokenIds& ids) const {
  const std::string text = tokenizer_.decode({ids.begin() + prompt_, ids.end()}, /*skip_special_tokens=*/false);
  return std::any_of(config_.stop->begin(), config_.stop->end(),
                     [&](const std::string& stop) { return text.find(stop) != std::string::npos; });
}

}  // namespace whence::transformer
