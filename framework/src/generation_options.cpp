#include "whence/generation_options.h"

#include <cmath>
#include <limits>
#include <sstream>

namespace whence {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kUsualNewTokens = 20;

/// Where the number of an option may lie.
struct Range {
  std::string_view option;
  double least, most;
  std::string_view expected;
};

constexpr Range kRanges[] = {
    {"max_new_tokens", 1, kMostTokens, "at least 1"},
    {"max_length", 1, kMostTokens, "at least 1"},
    {"min_new_tokens", 0, kMostTokens, "at least 0"},
    {"min_length", 0, kMostTokens, "at least 0"},
    {"eos_token_id", 0, kMostTokens, "token ids, which are at least 0"},
    {"num_beams", 1, 1024, "1 to 1024"},
    {"length_penalty", -kInfinity, kInfinity, "a finite number"},
    {"temperature", 0, kInfinity, "a number above 0"},
    {"top_k", 0, kMostTokens, "at least 0"},
    {"top_p", 0, 1, "a number above 0 and at most 1"},
    {"min_p", 0, 1, "a number from 0 to 1"},
    {"typical_p", 0, 1, "a number above 0 and at most 1"},
    {"repetition_penalty", 0, kInfinity, "a number above 0"},
    {"no_repeat_ngram_size", 0, kMostTokens, "at least 0"},
    {"bad_words_ids", 0, kMostTokens, "token ids, which are at least 0"},
    {"suppress_tokens", 0, kMostTokens, "token ids, which are at least 0"},
    {"begin_suppress_tokens", 0, kMostTokens, "token ids, which are at least 0"},
    {"forced_bos_token_id", 0, kMostTokens, "a token id, which is at least 0"},
    {"forced_eos_token_id", 0, kMostTokens, "token ids, which are at least 0"},
};

ConfigError out_of_range(const Mark& where, std::string_view option, const std::string& found,
                         std::string_view expected) {
  return ConfigError(where, "'" + std::string(option) + "' is " + found + "; expected " + std::string(expected));
}

template <class Number>
void check_number(std::string_view option, Number number, const Mark& where) {
  const Range& range = *std::find_if(std::begin(kRanges), std::end(kRanges),
                                     [&](const Range& candidate) { return candidate.option == option; });
  const bool above = range.expected.starts_with("a number above");
  const auto value = static_cast<double>(number);
  if (std::isfinite(value) && (above ? value > range.least : value >= range.least) && value <= range.most) return;
  std::ostringstream text;
  text << number;
  throw out_of_range(where, option, text.str(), range.expected);
}

// An option's value is checked as a whole where it comes from a program, item by item where it comes from a file.
void check(std::string_view option, std::int64_t value, const Mark& where) { check_number(option, value, where); }
void check(std::string_view option, double value, const Mark& where) { check_number(option, value, where); }
void check(std::string_view, bool, const Mark&) {}
void check(std::string_view, EarlyStopping, const Mark&) {}
void check(std::string_view option, const std::string& text, const Mark& where) {
  if (text.empty()) throw out_of_range(where, option, "empty text", "text that is not empty");
}
template <class T>
void check(std::string_view option, const std::vector<T>& items, const Mark& where) {
  for (const T& item : items) check(option, item, where);
  if constexpr (std::is_same_v<T, TokenIds>)
    for (const T& item : items)
      if (item.empty()) throw out_of_range(where, option, "a list with an empty list", "lists of token ids");
}

std::int64_t read(const Value& value, std::int64_t*) { return value.as_int(); }
double read(const Value& value, double*) { return value.as_double(); }
bool read(const Value& value, bool*) { return value.as_bool(); }
std::string read(const Value& value, std::string*) { return value.as_string(); }
EarlyStopping read(const Value& value, EarlyStopping*) {
  if (value.is_bool()) return value.as_bool() ? EarlyStopping::yes : EarlyStopping::no;
  if (value.is_string() && value.as_string() == "never") return EarlyStopping::never;
  throw ConfigError(value.mark(),
                    "expected true, false or 'never', found " +
                        (value.is_string() ? "'" + value.as_string() + "'" : std::string(value.type_name())));
}

template <class T>
T read_checked(std::string_view option, const Value& value, T* type) {
  T result = read(value, type);
  check(option, result, value.mark());
  return result;
}
template <class T>
std::vector<T> read_checked(std::string_view option, const Value& value, std::vector<T>*) {
  std::vector<T> items;
  constexpr bool kOfLists = std::is_same_v<T, TokenIds>;
  for (const Value& item : kOfLists || value.is_list() ? value.as_list() : Value::List{value}) {
    if (kOfLists) item.as_list();
    items.push_back(read_checked(option, item, static_cast<T*>(nullptr)));
  }
  check(option, items, value.mark());
  return items;
}

Value value_of(std::int64_t number) { return Value(number); }
Value value_of(double number) { return Value(number); }
Value value_of(bool flag) { return Value(flag); }
Value value_of(const std::string& text) { return Value(text); }
Value value_of(EarlyStopping stopping) {
  return stopping == EarlyStopping::never ? Value(std::string("never")) : Value(stopping == EarlyStopping::yes);
}
template <class T>
Value value_of(const std::vector<T>& items) {
  Value::List list;
  for (const T& item : items) list.push_back(value_of(item));
  return Value(std::move(list));
}

/// The type of an option, given a pointer to its member.
template <class T>
T type_of(std::optional<T> GenerationConfig::*);
template <class Pointer>
using TypeOf = decltype(type_of(std::declval<Pointer>()));

/// Where both say how long a text may be, `asked` counts, whichever of the two options it uses.
GenerationConfig merged(const GenerationConfig& asked, const ModelInfo& model) {
  GenerationConfig result = model.generation;
  if (asked.max_new_tokens || asked.max_length) result.max_new_tokens = result.max_length = {};
  if (asked.min_new_tokens || asked.min_length) result.min_new_tokens = result.min_length = {};
  if (result.max_new_tokens) result.max_length = {};
  if (result.min_new_tokens) result.min_length = {};
  if (!result.eos) result.eos = model.eos;
  // Small checkpoints are often cut from larger ones whose EOS they lack; it just never comes.
  std::erase_if(*result.eos, [&](std::int64_t id) { return id >= model.vocabulary; });
  result.seed = asked.seed;
  result.sequence_ids = asked.sequence_ids;
  visit_generation_options([&](std::string_view, auto option) {
    if (asked.*option) result.*option = asked.*option;
  });
  return result;
}

template <class T>
void fill(std::optional<T>& option, T value) {
  if (!option) option = std::move(value);
}

void fill_defaults(GenerationConfig& config) {
  if (!config.max_new_tokens && !config.max_length) config.max_new_tokens = kUsualNewTokens;
  fill(config.num_beams, std::int64_t{1});
  fill(config.length_penalty, 1.0);
  fill(config.early_stopping, EarlyStopping::no);
  fill(config.do_sample, false);
  fill(config.temperature, 1.0);
  fill(config.top_k, std::int64_t{50});
  fill(config.top_p, 1.0);
  fill(config.min_p, 0.0);
  fill(config.typical_p, 1.0);
  fill(config.repetition_penalty, 1.0);
  fill(config.no_repeat_ngram_size, std::int64_t{0});
  fill(config.renormalize_logits, false);
}

/// Refuses an option that is given, does something and would be without effect.
template <class T>
void refuse_idle(std::string_view option, const std::optional<T>& given, std::initializer_list<T> idle,
                 std::string_view why, std::string_view mend) {
  if (!given || std::find(idle.begin(), idle.end(), *given) != idle.end()) return;
  std::string found;
  if constexpr (std::is_same_v<T, EarlyStopping>) {
    found = *given == EarlyStopping::never ? "'never'" : "true";
  } else {
    std::ostringstream text;
    text << *given;
    found = text.str();
  }
  throw ConfigError("'" + std::string(option) + "' of the generation is " + found + ", which has no effect " +
                    std::string(why) + "; " + std::string(mend) + ", or leave it out");
}

void check_effects(const GenerationConfig& asked, const GenerationConfig& resolved) {
  if (asked.max_new_tokens && asked.max_length)
    throw ConfigError("'max_length' of the generation: 'max_new_tokens' is given, too; give one of the two");
  if (asked.min_new_tokens && asked.min_length)
    throw ConfigError("'min_length' of the generation: 'min_new_tokens' is given, too; give one of the two");
  const auto check_lengths = [](std::string_view option, const auto& least, const auto& most) {
    if (least && most && *least > *most)
      throw ConfigError("'" + std::string(option) + "' of the generation is " + std::to_string(*least) +
                        "; expected at most the " + std::to_string(*most) + " of 'max" + std::string(option.substr(3)) +
                        "'");
  };
  check_lengths("min_new_tokens", asked.min_new_tokens, asked.max_new_tokens);
  check_lengths("min_length", asked.min_length, asked.max_length);
  if (!*resolved.do_sample) {
    const std::string_view why = "without do_sample", mend = "set do_sample to true";
    refuse_idle("temperature", asked.temperature, {1.0}, why, mend);
    refuse_idle<std::int64_t>("top_k", asked.top_k, {0, 50}, why, mend);
    refuse_idle("top_p", asked.top_p, {1.0}, why, mend);
    refuse_idle("min_p", asked.min_p, {0.0}, why, mend);
    refuse_idle("typical_p", asked.typical_p, {1.0}, why, mend);
  }
  if (*resolved.num_beams == 1) {
    const std::string_view why = "without beams", mend = "set num_beams to 2 or more";
    refuse_idle("length_penalty", asked.length_penalty, {1.0}, why, mend);
    refuse_idle("early_stopping", asked.early_stopping, {EarlyStopping::no}, why, mend);
  }
}

/// The first id that no token of the model has, and the option that names it.
std::optional<std::pair<std::string_view, std::int64_t>> foreign_id(const GenerationConfig& config,
                                                                    std::int64_t vocabulary) {
  std::optional<std::pair<std::string_view, std::int64_t>> found;
  const auto look = [&](std::string_view option, const TokenIds& ids) {
    for (const std::int64_t id : ids)
      if (!found && id >= vocabulary) found.emplace(option, id);
  };
  visit_generation_options([&](std::string_view name, auto option) {
    using T = TypeOf<decltype(option)>;
    if (!(config.*option)) return;
    if constexpr (std::is_same_v<T, TokenIds>) look(name, *(config.*option));
    if constexpr (std::is_same_v<T, std::vector<TokenIds>>)
      for (const TokenIds& ids : *(config.*option)) look(name, ids);
  });
  if (config.forced_bos_token_id) look("forced_bos_token_id", {*config.forced_bos_token_id});
  return found;
}

std::string foreign_id_text(const std::pair<std::string_view, std::int64_t>& found, const ModelInfo& model) {
  return "'" + std::string(found.first) + "' of the generation: " + std::to_string(found.second) +
         " is no token id of model '" + model.name + "'; expected 0 to " + std::to_string(model.vocabulary - 1);
}

}  // namespace

std::vector<std::string> generation_option_names() {
  std::vector<std::string> names{"seed"};
  visit_generation_options([&](std::string_view name, auto) { names.emplace_back(name); });
  return names;
}

GenerationConfig read_generation_options(const Value& options) {
  options.require_known_keys(generation_option_names());
  GenerationConfig config;
  visit_generation_options([&](std::string_view name, auto option) {
    if (const Value* value = options.find(name); value && !value->is_null())
      config.*option = read_checked(name, *value, static_cast<TypeOf<decltype(option)>*>(nullptr));
  });
  if (const Value* seed = options.find("seed"); seed && !seed->is_null()) {
    if (seed->as_int() < 0) throw out_of_range(seed->mark(), "seed", std::to_string(seed->as_int()), "at least 0");
    config.seed = static_cast<std::uint64_t>(seed->as_int());
  }
  return config;
}

Value generation_options(const GenerationConfig& config) {
  Value::Map map;
  visit_generation_options([&](std::string_view name, auto option) {
    if (config.*option) map.emplace_back(name, value_of(*(config.*option)));
  });
  map.emplace_back("seed", Value(static_cast<std::int64_t>(config.seed)));
  return Value(std::move(map));
}

GenerationConfig resolved_generation(const GenerationConfig& asked, const ModelInfo& model) {
  visit_generation_options([&](std::string_view name, auto option) {
    if (asked.*option) check(name, *(asked.*option), Mark{});
  });
  if (const auto found = foreign_id(asked, model.vocabulary)) throw ConfigError(foreign_id_text(*found, model));
  GenerationConfig resolved = merged(asked, model);
  if (const auto found = foreign_id(resolved, model.vocabulary))
    throw ModelError(foreign_id_text(*found, model) + ", yet its checkpoint says so; correct it or give the option");
  fill_defaults(resolved);
  check_effects(asked, resolved);
  return resolved;
}

std::int64_t most_tokens(const GenerationConfig& resolved, const ModelInfo& model, std::int64_t prompt) {
  const std::int64_t asked = resolved.max_new_tokens ? prompt + *resolved.max_new_tokens : *resolved.max_length;
  return model.max_positions > 0 ? std::min(asked, model.max_positions) : asked;
}

}  // namespace whence
