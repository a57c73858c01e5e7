#pragma once

#include <string>
#include <string_view>

#include "whence/context_attribution.h"
#include "whence/export.h"

namespace whence {

/// The result as JSON with the fields of the reference toolkit (docs/context-attribution.md). `with_info` false leaves
/// `info` out.
WHENCE_API std::string to_context_json(const ContextAttribution& result, bool with_info = true);

/// Reads what `to_context_json` or the reference toolkit wrote; `place` names the text in errors. Plain or gzipped
/// bytes. Throws InputError.
WHENCE_API ContextAttribution from_context_json(std::string_view bytes, const std::string& place);

/// True for bytes that hold a context attribution rather than another result: a JSON object with "cti_scores".
WHENCE_API bool is_context_json(std::string_view bytes);

}  // namespace whence
