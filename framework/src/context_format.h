#pragma once

/// Names in files of context attributions, shared by writer and reader. Those outside of kExtras are the reference
/// toolkit's; docs/context-attribution.md describes the format.
namespace whence::context_format {

inline constexpr char kInputContext[] = "input_context";
inline constexpr char kInputContextTokens[] = "input_context_tokens";
inline constexpr char kOutputContext[] = "output_context";
inline constexpr char kOutputContextTokens[] = "output_context_tokens";
inline constexpr char kOutputCurrent[] = "output_current";
inline constexpr char kOutputCurrentTokens[] = "output_current_tokens";
inline constexpr char kSensitivities[] = "cti_scores";
inline constexpr char kSelected[] = "cci_scores";
inline constexpr char kInfo[] = "info";

// Of each selected token.
inline constexpr char kIndex[] = "cti_idx";
inline constexpr char kToken[] = "cti_token";
inline constexpr char kSensitivity[] = "cti_score";
inline constexpr char kContextualOutput[] = "contextual_output";
inline constexpr char kContrastToken[] = "contrast_token";
inline constexpr char kContextlessOutput[] = "contextless_output";
inline constexpr char kInputScores[] = "input_context_scores";
inline constexpr char kOutputScores[] = "output_context_scores";

/// What only whence knows, of the whole and of each selected token.
inline constexpr char kExtras[] = "whence";
inline constexpr char kInputCurrent[] = "input_current";
inline constexpr char kInputUnits[] = "input_context_units";
inline constexpr char kOutputUnits[] = "output_context_units";
inline constexpr char kInputUnitScores[] = "input_unit_scores";
inline constexpr char kOutputUnitScores[] = "output_unit_scores";
/// In `info` of the reference, which knows the current input from there alone.
inline constexpr char kInputCurrentText[] = "input_current_text";

}  // namespace whence::context_format
