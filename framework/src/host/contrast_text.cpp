#include "host/contrast_text.h"

#include <algorithm>
#include <set>

#include "host/checked_value.h"
#include "host/experiment.h"

namespace whence::host {
namespace {

std::int64_t position_from(const Value& value, std::string_view what) {
  const std::int64_t position = value.as_int();
  if (position < 1)
    throw ConfigError(value.mark(), "position " + std::to_string(position) + " of " + std::string(what) +
                                        "; expected at least 1, since a token needs one before it that predicts it");
  return position;
}

std::vector<AlignedPair> parse_pairs(const Value& value) {
  std::vector<AlignedPair> pairs;
  std::set<std::int64_t> steps;
  for (const Value& item : value.as_list()) {
    if (!item.is_list() || item.as_list().size() != 2)
      throw ConfigError(item.mark(),
                        "expected a pair [position in the text, position in the contrastive target], found " +
                            std::string(item.type_name()) +
                            (item.is_list() ? " of " + std::to_string(item.as_list().size()) : ""));
    pairs.push_back(
        {position_from(item.as_list()[0], "the text"), position_from(item.as_list()[1], "the contrastive target")});
    if (!steps.insert(pairs.back().step).second)
      throw ConfigError(item.mark(),
                        "position " + std::to_string(pairs.back().step) +
                            " of the text is in two pairs; a step is compared with one token, so keep one");
  }
  return pairs;
}

}  // namespace

bool AlignmentChoice::operator==(const AlignmentChoice& other) const {
  return way == other.way && pairs == other.pairs && model == other.model && layer == other.layer;
}

bool ContrastText::operator==(const ContrastText& other) const {
  return target == other.target && source == other.source && alignment == other.alignment;
}

const std::vector<std::string>& contrast_keys() {
  static const std::vector<std::string> keys{"contrast_target", "contrast_source", "contrast_alignment"};
  return keys;
}

AlignmentChoice parse_alignment(const Value& value, const std::filesystem::path& base) {
  AlignmentChoice choice;
  choice.where = value.mark();
  if (value.is_list()) {
    choice.way = AlignmentWay::pairs;
    choice.pairs = parse_pairs(value);
  } else if (value.is_map()) {
    value.require_known_keys({"model", "layer"});
    choice.way = AlignmentWay::states;
    const Value& model = value.at("model");
    choice.model = find_model(model.as_string(), base, model.mark());
    choice.where = model.mark();
    if (const Value* layer = value.find("layer"); layer && !layer->is_null())
      choice.layer = integer_from(*layer, "layer", 0);
  } else {
    if (name_from(value, "alignment", {"auto", "right"}) == "auto") choice.way = AlignmentWay::tokens;
  }
  return choice;
}

std::optional<ContrastText> parse_contrast(const Value& value, const std::filesystem::path& base) {
  ContrastText contrast;
  const auto given = [&](const char* key) {
    const Value* found = value.find(key);
    if (!found || found->is_null()) return static_cast<const Value*>(nullptr);
    if (contrast.where.file.empty()) contrast.where = found->key_mark();
    return found;
  };
  if (const Value* target = given("contrast_target")) contrast.target = target->as_string();
  if (const Value* source = given("contrast_source")) contrast.source = source->as_string();
  if (const Value* alignment = given("contrast_alignment")) contrast.alignment = parse_alignment(*alignment, base);
  if (contrast == ContrastText()) return {};
  return contrast;
}

void add_common(const ContrastText& common, std::optional<ContrastText>& own) {
  if (!own && (common.target || common.source)) own.emplace().where = common.where;
  if (!own) return;
  if (!own->target) own->target = common.target;
  if (!own->source) own->source = common.source;
  if (!own->alignment && own->target) own->alignment = common.alignment;
}

Value alignment_value(const AlignmentChoice& choice) {
  if (choice.way == AlignmentWay::pairs) {
    Value::List pairs;
    for (const AlignedPair& pair : choice.pairs)
      pairs.push_back(Value(Value::List{Value(pair.step), Value(pair.contrast)}));
    return Value(std::move(pairs));
  }
  if (choice.way != AlignmentWay::states)
    return Value(std::string(choice.way == AlignmentWay::tokens ? "auto" : "right"));
  Value::Map model{{"model", Value(choice.model)}};
  if (choice.layer) model.emplace_back("layer", Value(*choice.layer));
  return Value(std::move(model));
}

Value::Map contrast_value(const ContrastText& contrast) {
  Value::Map map;
  if (contrast.target) map.emplace_back("contrast_target", Value(*contrast.target));
  if (contrast.source) map.emplace_back("contrast_source", Value(*contrast.source));
  if (contrast.alignment) map.emplace_back("contrast_alignment", alignment_value(*contrast.alignment));
  return map;
}

}  // namespace whence::host
