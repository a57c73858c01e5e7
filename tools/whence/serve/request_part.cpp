#include "request_part.h"

namespace whence::serve {

void require_known_fields(const Value& request, std::initializer_list<Fields> known) {
  Fields all{"kind"};
  for (const Fields& fields : known) all.insert(all.end(), fields.begin(), fields.end());
  request.require_known_keys(all);
}

Value request_part(const Value& request, const Fields& fields) {
  Value::Map map;
  for (const std::string& field : fields)
    if (const Value* value = request.find(field); value && !value->is_null()) map.emplace_back(field, *value);
  return Value(std::move(map), request.mark());
}

void refuse_second_model(const host::AlignmentChoice& alignment) {
  if (alignment.way == host::AlignmentWay::states)
    throw ConfigError(alignment.where,
                      "alignments by states need a second model, which a server does not load; expected right, auto or "
                      "a list of pairs");
}

}  // namespace whence::serve
