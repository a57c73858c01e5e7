#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flow.h"
#include "output_text.h"
#include "whence/context_attribution.h"
#include "whence/strong_scores.h"
#include "whence/vocabulary.h"

/// What every renderer says about a context attribution in the same words. All texts are printable (text.h).
namespace whence::drawing {

/// "saliency of contrast_prob_diff, tiny": method, attributed function and model, as far as they are known.
std::string heading(const ContextAttribution& result);

/// What the sensitivities are, such as "kl_divergence".
std::string sensitivity_name(const ContextAttribution& result);

/// How the tokens of a result were selected, and how cues are: by `info`, else the defaults.
StrongScores sensitivity_rule(const ContextAttribution& result);
StrongScores cue_rule(const ContextAttribution& result);

/// "mean + 1 std, top 3"
std::string rule_text(const StrongScores& rule);

/// "2 of 5 tokens depend on context: |kl_divergence| >= 0.33 (mean + 1 std)", or that none does.
std::string selection_text(const ContextAttribution& result, int decimals);

/// "no token depends on context"
inline constexpr std::string_view kNothingSelected = "no token depends on context";

/// Cues that stand out for one token: the threshold is that of both contexts together, and the strongest are counted in
/// each.
struct StrongCues {
  float threshold = 0;
  std::vector<std::int64_t> input, output;  ///< positions in a context, by falling magnitude
};
StrongCues strong_cues(const ContextSensitiveToken& token, const StrongScores& rule);

/// Largest finite magnitude of the token scores of both contexts, 0 without any.
double largest_magnitude(const ContextSensitiveToken& token);

/// A sentence or document by the weight it has.
struct RankedUnit {
  std::string name;
  std::int64_t index = 0;  ///< among the units of its context
  float score = 0;
};
/// By falling magnitude, those of zero left out.
std::vector<RankedUnit> ranked_units(const ContextText& context, const CueScores& cues);

struct WordOptions {
  TokenForm tokens = TokenForm::clean;
  int decimals = 2;
  bool numbers = true;   ///< scores behind what stands out
  bool brackets = true;  ///< around what stands out
};

/// Texts of one result as pieces that `flow` sets.
class ContextWords {
 public:
  ContextWords(const ContextAttribution& result, const WordOptions& options);

  /// "hospital → meeting" of a token that differs without context.
  std::string token(const std::string& entry) const;
  /// A context with its scores. Of a long one only what is near the strong cues, with an ellipsis in each gap.
  std::vector<Piece> context(const ContextText& context, const CueScores& cues,
                             const std::vector<std::int64_t>& strong) const;
  /// The current output with one token marked by its sensitivity.
  std::vector<Piece> output(const ContextSensitiveToken& token) const;

 private:
  std::vector<Piece> pieces(const std::vector<std::string>& entries, const std::vector<float>& scores,
                            const std::vector<std::int64_t>& strong) const;
  void add(std::vector<Piece>& pieces, const std::string& entry, double score, bool strong) const;

  const ContextAttribution& result_;
  const WordOptions options_;
  const Vocabulary vocabulary_;
};

/// Of the tokens of the output and of both contexts.
Vocabulary vocabulary_of(const ContextAttribution& result);

/// A text as pieces, with a new line behind each line end; of a long one the beginning.
std::vector<Piece> text_pieces(std::string_view text);

}  // namespace whence::drawing
