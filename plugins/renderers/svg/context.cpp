#include "context.h"

#include <algorithm>
#include <cmath>

#include "context_words.h"
#include "sheet.h"
#include "text.h"

namespace whence::svg {
namespace {

using namespace whence::drawing;

constexpr std::int64_t kUnits = 5;

class ContextFigure {
 public:
  ContextFigure(const ContextAttribution& result, const DrawingOptions& options, int columns)
      : result_(result),
        options_(options),
        words_(result, {.tokens = options.tables.tokens,
                        .decimals = options.tables.decimals,
                        .numbers = options.numbers,
                        .brackets = false}),
        rule_(cue_rule(result)),
        columns_(columns),
        sheet_(options.font_size, options.dark) {
    sheet_.width = columns * sheet_.letter();
    for (const float score : result.sensitivities)
      if (std::isfinite(score)) most_sensitive_ = std::max<double>(most_sensitive_, std::abs(score));
  }

  std::string draw() {
    const std::string title = heading(result_);
    if (!title.empty()) draw_title(title);
    sheet_.draw_lines(wrap(selection_text(result_, options_.tables.decimals), columns_));
    if (result_.selected.empty()) {
      draw_part("output", text_pieces(result_.output_current), 0);
    } else {
      sheet_.draw_lines(wrap("bold: |score| ≥ " + rule_text(rule_) + " of a token's scores", columns_));
      for (std::size_t i = 0; i < result_.selected.size(); ++i) draw_selected(i);
      sheet_.top += 0.5 * sheet_.line();
      if (options_.max_value)
        sheet_.draw_scale(number_text(-*options_.max_value, options_.tables.decimals),
                          number_text(*options_.max_value, options_.tables.decimals));
      else
        draw_scale_of_each();
    }
    return sheet_.document(title.empty() ? "Context attribution" : title);
  }

 private:
  void draw_title(const std::string& text) { sheet_.draw_lines(shorten(text, columns_), {.bold = true}); }

  void draw_selected(std::size_t rank) {
    const ContextSensitiveToken& token = result_.selected[rank];
    sheet_.top += 0.5 * sheet_.line();
    std::string title = std::to_string(rank + 1) + "  " + words_.token(token.token) + "  " +
                        number_text(token.sensitivity, options_.tables.decimals);
    if (token.contrast_token) title += "  without context: " + words_.token(*token.contrast_token);
    draw_title(title);
    draw_part("output", words_.output(token), most_sensitive_);
    const StrongCues strong = strong_cues(token, rule_);
    const double scale = options_.max_value ? *options_.max_value : largest_magnitude(token);
    draw_cues("input context", result_.input_context, token.input_cues, strong.input, scale);
    draw_cues("output context", result_.output_context, token.output_cues, strong.output, scale);
  }

  void draw_cues(const std::string& title, const std::optional<ContextText>& context,
                 const std::optional<CueScores>& cues, const std::vector<std::int64_t>& strong, double scale) {
    if (!context || !cues) return;
    draw_part(title, words_.context(*context, *cues, strong), scale);
    const std::vector<RankedUnit> units = ranked_units(*context, *cues);
    const auto most = static_cast<std::size_t>(options_.tables.max_rows.value_or(kUnits));
    for (std::size_t i = 0; i < std::min(units.size(), most); ++i) {
      const std::string line = number_text(units[i].score, options_.tables.decimals) + "  " +
                               std::to_string(units[i].index + 1) + ". " + units[i].name;
      sheet_.draw_lines(shorten(line, columns_));
    }
    if (!context->units.empty() && std::min(units.size(), most) < context->units.size())
      sheet_.draw_lines(std::to_string(std::min(units.size(), most)) + " of " + std::to_string(context->units.size()) +
                        " units, those with the largest scores");
  }

  /// Without numbers: the scale ends elsewhere for every token.
  void draw_scale_of_each() {
    sheet_.draw_lines(wrap("colours reach to the largest score of each token", columns_));
    sheet_.draw_scale("-", "+");
  }

  void draw_part(const std::string& title, const std::vector<Piece>& pieces, double scale) {
    sheet_.draw_lines(title + ":");
    for (const Line& line : flow(pieces, columns_)) {
      int column = 0;
      for (const Piece& piece : line) {
        const int width = display_width(piece.text);
        const double x = column * sheet_.letter();
        Rgb letters = sheet_.ink();
        if (!std::isnan(piece.score) && (scale > 0)) {
          const Rgb color = heat_color(piece.score / scale, sheet_.palette());
          letters = letters_on(color);
          sheet_.add_box(x, sheet_.top + 0.1 * sheet_.line(), width * sheet_.letter(), 0.85 * sheet_.line(), color);
        }
        sheet_.add_text(x, sheet_.top + sheet_.baseline(), piece.text, {.bold = piece.strong, .color = letters});
        column += width;
      }
      sheet_.top += sheet_.line();
    }
  }

  const ContextAttribution& result_;
  const DrawingOptions& options_;
  const ContextWords words_;
  const StrongScores rule_;
  const int columns_;  ///< letters in a line
  Sheet sheet_;
  double most_sensitive_ = 0;
};

}  // namespace

std::string draw_context(const ContextAttribution& result, const DrawingOptions& options, int columns) {
  return ContextFigure(result, options, columns).draw();
}

}  // namespace whence::svg
