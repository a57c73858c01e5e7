#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "whence/attribution_output.h"
#include "whence/vocabulary.h"

/// What every renderer says about an output in the same words. All texts are printable (text.h).
namespace whence::drawing {

enum class TokenForm {
  clean,  ///< the text that it stands for
  raw,    ///< the vocabulary entry, "Ġhome"
};

/// Between the two entries of a contrasted token's label.
inline constexpr std::string_view kContrast = " → ";

/// "saliency of probability_fn, tiny": method, attributed function and model, as far as they are known.
std::string heading(const AttributionOutput& output);

/// The text of a sequence: as the run stored it, else that of its target tokens.
std::string sequence_text(const AttributionOutput& output, std::size_t index);

/// The text of a token, or "this → that" of a contrasted one. Blanks of clean tokens are `blank`.
std::string token_label(const Token& token, Vocabulary vocabulary, TokenForm form, std::string_view blank = "·");

/// What the method said about its scores.
std::vector<std::string> notes(const AttributionOutput& output);

bool has_attributions(const SequenceAttribution& sequence);

/// Why nothing or not everything of a sequence is drawn, such as "not drawn: a, b (maps between tokens)"; else empty.
/// `maps_left_out` are the maps that a renderer doesn't draw.
std::string remark(const SequenceAttribution& sequence, const std::vector<std::string>& maps_left_out);
/// Of a renderer that draws none.
std::string remark(const SequenceAttribution& sequence);

/// Empty for NaN; `whole` numbers without digits after the point, very large ones with an exponent.
std::string number_text(double value, int decimals, bool whole = false);

/// Largest finite magnitude of all attributions of an output, 0 when there is none: the end of a common colour scale.
double largest_magnitude(const AttributionOutput& output);

}  // namespace whence::drawing
