#include "language_tokenizer.h"

#include <utility>

#include "whence/error.h"

namespace whence {
namespace {

class LanguageTokenizer final : public Tokenizer {
 public:
  LanguageTokenizer(std::shared_ptr<const Tokenizer> inner, std::shared_ptr<const Languages> languages, Side side,
                    const std::string& origin)
      : inner_(std::move(inner)), languages_(std::move(languages)), side_(side) {
    const auto end = inner_->id(languages_->end);
    if (!end) fail(origin, "the special token '" + languages_->end + "'");
    end_ = *end;
    const auto own = side == Side::source ? std::optional(languages_->source) : languages_->target;
    if (!own) return;
    language_ = language_id(*own);
    if (!language_) fail(origin, "language '" + *own + "'" + nearest(*own));
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    const auto language = language_of(options);
    Encoding encoding = side_inner().encode(text, {.add_special_tokens = false});
    if (!options.add_special_tokens) return encoding;
    if (!language)
      throw InputError(
          "text: the language of the target is not known; name it, or write it as tgt_lang into "
          "tokenizer_config.json");
    TokenIds before, after = {end_};
    switch (languages_->place) {
      case LanguagePlace::before:
        before = {*language};
        break;
      case LanguagePlace::after:
        after.push_back(*language);
        break;
      case LanguagePlace::before_but_end:
        if (side_ == Side::target) before.push_back(end_);
        before.push_back(*language);
        break;
    }
    Encoding framed;
    const auto add = [&](const TokenIds& ids) {
      for (const auto id : ids) {
        framed.ids.push_back(id);
        framed.tokens.push_back(token(id).value());
        framed.offsets.push_back({0, 0});
        framed.special.push_back(true);
      }
    };
    add(before);
    framed.ids.insert(framed.ids.end(), encoding.ids.begin(), encoding.ids.end());
    framed.tokens.insert(framed.tokens.end(), encoding.tokens.begin(), encoding.tokens.end());
    framed.offsets.insert(framed.offsets.end(), encoding.offsets.begin(), encoding.offsets.end());
    framed.special.insert(framed.special.end(), encoding.special.begin(), encoding.special.end());
    add(after);
    return framed;
  }
  std::string decode(const TokenIds& ids, bool skip_special_tokens) const override {
    return side_inner().decode(ids, skip_special_tokens);
  }
  std::optional<std::string> token(std::int64_t id) const override { return side_inner().token(id); }
  std::optional<std::int64_t> id(std::string_view token) const override { return side_inner().id(token); }
  const SpecialIds& special_ids() const override { return side_inner().special_ids(); }
  const TokenIds& all_special_ids() const override { return side_inner().all_special_ids(); }
  const Tokenizer& on(Side side) const override { return side == Side::target && target_ ? *target_ : *this; }
  std::optional<std::int64_t> language_id(std::string_view language) const override {
    const bool is_token = language.starts_with("__") && language.ends_with("__");
    return side_inner().id(languages_->underscored && !is_token ? "__" + std::string(language) + "__"
                                                                : std::string(language));
  }

  void set_target(std::unique_ptr<const LanguageTokenizer> target) { target_ = std::move(target); }

 private:
  const Tokenizer& side_inner() const { return inner_->on(side_); }

  [[noreturn]] static void fail(const std::string& origin, const std::string& what) {
    throw ModelError(origin + ": the vocabulary lacks " + what +
                     "; mend src_lang and tgt_lang in tokenizer_config.json, or fetch the tokenizer files again");
  }

  std::string nearest(const std::string& language) const {
    const auto name = nearest_name(language, languages_->codes);
    return name.empty() ? "" : ", the nearest is '" + name + "'";
  }

  std::optional<std::int64_t> language_of(const EncodeOptions& options) const {
    if (options.language.empty()) return language_;
    if (const auto id = language_id(options.language)) return id;
    throw InputError("text: the tokenizer has no language '" + options.language + "'" + nearest(options.language) +
                     "; name one of the checkpoint's");
  }

  std::shared_ptr<const Tokenizer> inner_;
  std::shared_ptr<const Languages> languages_;
  Side side_;
  std::int64_t end_ = 0;
  std::optional<std::int64_t> language_;
  std::unique_ptr<const LanguageTokenizer> target_;  ///< of the source side only
};

}  // namespace

void require_no_language(const EncodeOptions& options) {
  if (!options.language.empty())
    throw InputError("text: the tokenizer has no language '" + options.language + "', it knows none; leave it out");
}

std::unique_ptr<Tokenizer> with_languages(std::unique_ptr<Tokenizer> inner, Languages languages,
                                          const std::string& origin) {
  const std::shared_ptr<const Tokenizer> shared = std::move(inner);
  const auto known = std::make_shared<const Languages>(std::move(languages));
  auto source = std::make_unique<LanguageTokenizer>(shared, known, Side::source, origin);
  source->set_target(std::make_unique<LanguageTokenizer>(shared, known, Side::target, origin));
  return source;
}

}  // namespace whence
