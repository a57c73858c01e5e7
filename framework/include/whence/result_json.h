#pragma once

#include <string>
#include <string_view>

#include "whence/attribution_output.h"
#include "whence/export.h"

namespace whence {

enum class ScoresPrecision { float32, float16, float8 };

/// The output in the JSON format of the reference toolkit (docs/results.md), which its own loader reads.
WHENCE_API std::string to_result_json(const AttributionOutput& output,
                                      ScoresPrecision precision = ScoresPrecision::float32);

/// Reads what `to_result_json` or the reference toolkit wrote; `place` names the text in errors. Plain or gzipped
/// bytes. Classes are a closed list; nothing is imported. Throws InputError.
WHENCE_API AttributionOutput from_result_json(std::string_view bytes, const std::string& place);

}  // namespace whence
