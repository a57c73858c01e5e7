#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "host/contrast_text.h"
#include "whence/value.h"

namespace whence::serve {

using Fields = std::vector<std::string>;

/// Throws UnknownName for a field of a request that is neither `kind` nor in one of these lists.
void require_known_fields(const Value& request, std::initializer_list<Fields> known);
/// The fields of a request that are in the list and not null, as a mapping.
Value request_part(const Value& request, const Fields& fields);
/// Throws ConfigError for an alignment that needs another checkpoint: requests name no files.
void refuse_second_model(const host::AlignmentChoice& alignment);

}  // namespace whence::serve
