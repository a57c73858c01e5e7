#include "pattern.h"
#include "whence/aggregator.h"
#include "whence/merge_spans.h"
#include "whence/plugin.h"

namespace {

using whence::Span;

using Spans = std::vector<Span>;

/// The tokens that stretches of the joined text touch; one that an earlier stretch has touched is its own.
Spans touched_tokens(const Spans& matches, const std::vector<whence::Token>& tokens) {
  Spans touched;
  std::int64_t token = 0, begin = 0;  // of the token, in the text
  const auto end = [&] { return begin + std::ssize(tokens[token].text); };
  const auto next = [&] { begin = end(), ++token; };
  for (const Span& match : matches) {
    while (token < std::ssize(tokens) && end() <= match.start) next();
    const std::int64_t first = token;
    while (token < std::ssize(tokens) && begin < match.end) next();
    if (token > first) touched.push_back({first, token});
  }
  return touched;
}

enum class Mode { single, start, end };

/// All tokens, cut at the matches.
Spans stretches(const Spans& matches, std::int64_t length, Mode mode) {
  if (matches.empty()) return {};
  Spans parts;
  const auto add = [&](std::int64_t start, std::int64_t end) {
    if (start < end) parts.push_back({start, end});
  };
  std::int64_t open = 0;  // where the stretch begins that is not closed yet
  for (const Span& match : matches) {
    if (mode != Mode::end) add(open, match.start), open = match.start;
    if (mode != Mode::start) add(open, match.end), open = match.end;
  }
  add(open, length);
  return parts;
}

Mode mode_from(const std::string& name) {
  return name == "start" ? Mode::start : name == "end" ? Mode::end : Mode::single;
}

class Split final : public whence::Aggregator {
 public:
  explicit Split(const whence::Params& params)
      : pattern_(params.get<std::string>("split_pattern")),
        mode_(mode_from(params.get<std::string>("split_mode"))),
        source_(params.get<bool>("aggregate_source")),
        target_(params.get<bool>("aggregate_target")) {
    if (params.has("function")) function_ = params.get<std::string>("function");
  }

  void apply(whence::SequenceAttribution& sequence) const override {
    whence::MergeRequest request;
    if (source_) request.source_spans = cut(sequence.source);
    if (target_) request.target_spans = cut(sequence.target);
    if (!function_.empty()) request.reduction = request.step_reduction = function_;
    whence::merge_spans(sequence, request);
  }

 private:
  Spans cut(const std::vector<whence::Token>& tokens) const {
    std::string text;
    for (const whence::Token& token : tokens) text += token.text;
    return stretches(touched_tokens(pattern_.matches(text), tokens), std::ssize(tokens), mode_);
  }

  const Pattern pattern_;
  const Mode mode_;
  const bool source_, target_;
  std::string function_;
};

void register_plugin(whence::Registrar& registrar) {
  registrar.add_aggregator("split", [](const whence::Params& params) { return std::make_unique<Split>(params); });
}

}  // namespace

WHENCE_PLUGIN(register_plugin)
