#include "piece_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "language_tokenizer.h"
#include "lower_case.h"
#include "text_utf8.h"
#include "whence/error.h"

namespace whence {
namespace {

/// A part of a text: one added token, or what lies between them.
struct Segment {
  std::size_t start = 0, end = 0;
  const AddedToken* token = nullptr;
};

class PieceTokenizer final : public Tokenizer {
 public:
  explicit PieceTokenizer(PieceSide side) : cutter_(std::move(side.cutter)), added_(std::move(side.vocabulary.added)) {
    auto& vocabulary = side.vocabulary;
    for (const auto& [token, id] : vocabulary.ids.items()) put(token, id.get<std::int64_t>());
    const auto size = static_cast<std::int64_t>(vocabulary.ids.size());
    for (std::size_t i = 0; i < vocabulary.languages.size(); ++i)
      put(vocabulary.languages[i], size + static_cast<std::int64_t>(i));
    auto next = size;
    for (const auto& token : added_) {
      if (!ids_.contains(token.content)) put(token.content, next);
      if (!vocabulary.ids.contains(token.content)) ++next;
      const auto id = ids_.at(token.content);
      if (token.special) special_.push_back(id);
      if (!token.special || id >= size) apart_.push_back(id);
    }
    std::sort(special_.begin(), special_.end());
    special_.erase(std::unique(special_.begin(), special_.end()), special_.end());
    special_ids_ = {.bos = id_of(vocabulary.bos),
                    .eos = id_of(vocabulary.eos),
                    .unknown = id_of(vocabulary.unknown),
                    .pad = id_of(vocabulary.pad)};
    const auto require = [&](const std::optional<std::int64_t>& id, const std::string& what) {
      if (!id)
        throw ModelError(side.origin + ": the vocabulary lacks the " + what + "; fetch the tokenizer files again");
      return *id;
    };
    unknown_ = require(special_ids_.unknown, "unknown token");
    const auto& [before, after] = vocabulary.frame;
    if (before) before_ = require(id(*before), "token '" + *before + "'");
    if (after) after_ = require(id(*after), "token '" + *after + "'");
    lower_case_ = vocabulary.lower_case;
    if (!lower_case_) return;
    for (const auto& token : added_)
      if (token.special || token.normalized) kept_.push_back(token.content);
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    if (const auto place = first_invalid_byte(text))
      throw InputError("text: byte " + std::to_string(*place) + " is not valid UTF-8; convert the text to UTF-8");
    require_no_language(options);
    const auto starts = character_starts(text);
    const auto lowered = lower_case_ ? lower_case(text, kept_) : LoweredText{};
    if (lower_case_) text = lowered.text;
    const auto character = [&](std::size_t byte) {
      // Of a byte inside a character: that character.
      return std::upper_bound(starts.begin(), starts.end(), byte) - starts.begin() - 1;
    };
    Encoding encoding;
    const auto add_special = [&](std::int64_t id) {
      encoding.ids.push_back(id);
      encoding.tokens.push_back(tokens_.at(id));
      encoding.offsets.push_back({0, 0});
      encoding.special.push_back(true);
    };
    const auto add = [&](const std::string& piece, std::size_t start, std::size_t end) {
      if (lower_case_) start = lowered.places[start], end = lowered.places[end];
      const auto found = ids_.find(piece);
      const auto id = found == ids_.end() ? unknown_ : found->second;
      encoding.ids.push_back(id);
      encoding.tokens.push_back(tokens_.at(id));
      const auto last = std::lower_bound(starts.begin(), starts.end(), end) - starts.begin();
      encoding.offsets.push_back({start == end ? last : character(start), last});
      encoding.special.push_back(false);
    };
    if (options.add_special_tokens && before_) add_special(*before_);
    for (const auto& segment : segments(text)) {
      if (segment.token) {
        add(segment.token->content, segment.start, segment.end);
        continue;
      }
      for (const auto& piece : cutter_->cut(text.substr(segment.start, segment.end - segment.start)))
        add(piece.text, segment.start + piece.start, segment.start + piece.end);
    }
    if (options.add_special_tokens && after_) add_special(*after_);
    return encoding;
  }

  std::string decode(const TokenIds& ids, bool skip_special_tokens) const override {
    std::string text;
    bool is_first = true;
    std::vector<std::string> pieces;
    std::vector<bool> marks;
    const auto append = [&](const std::string& part) {
      if (!is_first) text += ' ';
      text += part;
      is_first = false;
    };
    const auto join = [&](bool keeps_empty) {
      if (pieces.empty()) return;
      const auto joined = cutter_->join(pieces, marks);
      if (keeps_empty || !joined.empty()) append(joined);
      pieces.clear();
      marks.clear();
    };
    for (const auto id : ids) {
      const auto found = tokens_.find(id);
      if (found == tokens_.end()) throw InputError("ids: token id " + std::to_string(id) + " is not in the vocabulary");
      const bool is_special = std::binary_search(special_.begin(), special_.end(), id);
      if (is_special && skip_special_tokens) continue;
      if (std::find(apart_.begin(), apart_.end(), id) != apart_.end()) {
        join(false);
        append(found->second);
        continue;
      }
      pieces.push_back(found->second);
      marks.push_back(is_special);
    }
    join(true);
    return text;
  }

  std::optional<std::string> token(std::int64_t id) const override {
    const auto found = tokens_.find(id);
    return found == tokens_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  const SpecialIds& special_ids() const override { return special_ids_; }
  const TokenIds& all_special_ids() const override { return special_; }
  const Tokenizer& on(Side side) const override { return side == Side::target && target_ ? *target_ : *this; }

  void set_target(std::unique_ptr<const PieceTokenizer> target) { target_ = std::move(target); }

 private:
  void put(const std::string& token, std::int64_t id) {
    ids_.emplace(token, id);
    tokens_.emplace(id, token);
  }

  std::optional<std::int64_t> id_of(const std::optional<std::string>& token) const {
    return token ? id(*token) : std::nullopt;
  }

  /// The longest added token at every place, from the left; then what each of them takes from its neighbours.
  std::vector<Segment> segments(std::string_view text) const {
    std::vector<Segment> found;
    std::size_t rest = 0;
    for (std::size_t place = 0; place < text.size();) {
      const AddedToken* longest = nullptr;
      for (const auto& token : added_) {
        if (token.content.empty() || !text.substr(place).starts_with(token.content)) continue;
        if (!longest || longest->content.size() < token.content.size()) longest = &token;
      }
      if (!longest) {
        ++place;
        continue;
      }
      if (rest < place) found.push_back({rest, place});
      found.push_back({place, place + longest->content.size(), longest});
      place = rest = found.back().end;
    }
    if (rest < text.size()) found.push_back({rest, text.size()});
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i].token) continue;
      const auto& token = *found[i].token;
      Segment* left = i > 0 && !found[i - 1].token ? &found[i - 1] : nullptr;
      Segment* right = i + 1 < found.size() && !found[i + 1].token ? &found[i + 1] : nullptr;
      const auto view = [&](const Segment& segment) { return text.substr(segment.start, segment.end - segment.start); };
      if (token.rstrip && right) right->start = right->end - stripped(view(*right), true, false).size();
      if (token.lstrip && left) left->end = left->start + stripped(view(*left), false, true).size();
      if (!token.single_word) continue;
      const bool touches_left = left && !view(*left).empty() && view(*left).back() != ' ';
      const bool touches_right = right && !view(*right).empty() && view(*right).front() != ' ';
      if (touches_left) {
        left->end = found[i].end;
      } else if (touches_right) {
        right->start = found[i].start;
      } else {
        continue;
      }
      found[i].token = nullptr;
      found[i].start = found[i].end;
    }
    std::erase_if(found, [](const Segment& segment) { return segment.start == segment.end; });
    return found;
  }

  std::shared_ptr<const TextCutter> cutter_;
  std::vector<AddedToken> added_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::unordered_map<std::int64_t, std::string> tokens_;
  SpecialIds special_ids_;
  TokenIds special_;
  TokenIds apart_;  ///< tokens that decoding sets apart with spaces
  std::int64_t unknown_ = 0;
  std::optional<std::int64_t> before_, after_;  ///< around every text
  bool lower_case_ = false;
  std::vector<std::string> kept_;                 ///< not lower-cased
  std::unique_ptr<const PieceTokenizer> target_;  ///< of the source side only
};

}  // namespace

std::unique_ptr<Tokenizer> piece_tokenizer(PieceSide source, std::optional<PieceSide> target) {
  auto tokenizer = std::make_unique<PieceTokenizer>(std::move(source));
  if (target) tokenizer->set_target(std::make_unique<PieceTokenizer>(std::move(*target)));
  return tokenizer;
}

}  // namespace whence
