#include "context.h"

#include <algorithm>
#include <cmath>

#include "ansi.h"
#include "context_words.h"
#include "shades.h"
#include "text.h"

namespace whence::terminal {
namespace {

using namespace drawing;

constexpr int kNarrowest = 24;  // narrower canvases are drawn this wide
constexpr int kIndent = 2;      // of what belongs to a title
constexpr std::int64_t kUnits = 10;

class ContextPage {
 public:
  ContextPage(const ContextAttribution& result, const Canvas& canvas, const HeatmapOptions& options)
      : result_(result),
        options_(options),
        words_(result, {.tokens = options.tables.tokens, .decimals = options.tables.decimals}),
        rule_(cue_rule(result)),
        columns_(std::max(canvas.columns, kNarrowest)),
        depth_(canvas.colors) {
    for (const float score : result.sensitivities)
      if (std::isfinite(score)) most_sensitive_ = std::max<double>(most_sensitive_, std::abs(score));
  }

  std::string draw() {
    if (const std::string line = heading(result_); !line.empty()) draw_title(line);
    page_ += wrap(selection_text(result_, options_.tables.decimals), columns_);
    if (!result_.selected.empty())
      page_ += wrap("cues, marked as [token](score): |score| ≥ " + rule_text(rule_) + " of a token's scores", columns_);
    page_ += "\n";
    if (result_.input_context) draw_text("input context", result_.input_context->text);
    if (!result_.input_current.empty()) draw_text("input", result_.input_current);
    if (result_.output_context) draw_text("output context", result_.output_context->text);
    draw_text("output", result_.output_current);
    for (std::size_t i = 0; i < result_.selected.size(); ++i) draw_selected(i);
    return std::move(page_);
  }

 private:
  void draw_title(const std::string& text) { page_ += bold(shorten(text, columns_), depth_) + "\n"; }

  void draw_text(const std::string& title, const std::string& text) {
    draw_title(title);
    draw_pieces(text_pieces(text), 0);
    page_ += "\n";
  }

  void draw_selected(std::size_t rank) {
    const ContextSensitiveToken& token = result_.selected[rank];
    draw_title("#" + std::to_string(rank + 1) + " " + words_.token(token.token) + " (" + std::to_string(token.index) +
               ") " + number_text(token.sensitivity, options_.tables.decimals));
    draw_part("output", words_.output(token), most_sensitive_);
    if (token.contrast_token) {
      draw_part("without context: " + words_.token(*token.contrast_token),
                text_pieces(token.contextless_output.value_or("")), 0);
    }
    const StrongCues strong = strong_cues(token, rule_);
    const double scale = options_.max_value ? *options_.max_value : largest_magnitude(token);
    draw_cues("input context", result_.input_context, token.input_cues, strong.input, strong.threshold, scale);
    draw_cues("output context", result_.output_context, token.output_cues, strong.output, strong.threshold, scale);
    page_ += "\n";
  }

  void draw_cues(const std::string& title, const std::optional<ContextText>& context,
                 const std::optional<CueScores>& cues, const std::vector<std::int64_t>& strong, float threshold,
                 double scale) {
    if (!context || !cues) return;
    const std::string least = number_text(threshold, options_.tables.decimals);
    draw_part(title + (strong.empty() ? ": no cue" : ": cues") + " ≥ " + least, words_.context(*context, *cues, strong),
              scale);
    draw_units(ranked_units(*context, *cues), context->units.size());
  }

  void draw_part(const std::string& title, const std::vector<Piece>& pieces, double scale) {
    page_ += std::string(kIndent, ' ') + shorten(title, columns_ - kIndent) + "\n";
    draw_pieces(pieces, scale);
  }

  void draw_pieces(const std::vector<Piece>& pieces, double scale) {
    for (const Line& line : flow(pieces, columns_ - 2 * kIndent)) {
      page_ += std::string(2 * kIndent, ' ');
      for (const Piece& piece : line) {
        if (!piece.strong) {
          page_ += piece.text;
          continue;
        }
        const double heat = scale > 0 ? std::clamp(piece.score / scale, -1.0, 1.0) : 0.0;
        page_ += on_heat(piece.text, heat, depth_);
        if (options_.shades) page_ += shade(heat);
      }
      page_.resize(page_.find_last_not_of(' ') + 1);
      page_ += "\n";
    }
  }

  void draw_units(const std::vector<RankedUnit>& units, std::size_t count) {
    if (count == 0) return;
    const std::size_t most = static_cast<std::size_t>(options_.tables.max_rows.value_or(kUnits));
    std::vector<std::string> numbers;
    int width = 0;
    for (std::size_t i = 0; i < std::min(units.size(), most); ++i) {
      numbers.push_back(number_text(units[i].score, options_.tables.decimals));
      width = std::max(width, display_width(numbers.back()));
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::string line =
          pad_left(numbers[i], width) + "  " + std::to_string(units[i].index + 1) + ". " + units[i].name;
      page_ += std::string(2 * kIndent, ' ') + shorten(line, columns_ - 2 * kIndent) + "\n";
    }
    if (numbers.size() < count)
      page_ += std::string(2 * kIndent, ' ') + std::to_string(numbers.size()) + " of " + std::to_string(count) +
               " units, those with the largest scores\n";
  }

  const ContextAttribution& result_;
  const HeatmapOptions& options_;
  const ContextWords words_;
  const StrongScores rule_;
  const int columns_;
  const ColorDepth depth_;
  double most_sensitive_ = 0;
  std::string page_;
};

}  // namespace

std::string draw_context(const ContextAttribution& result, const Canvas& canvas, const HeatmapOptions& options) {
  return ContextPage(result, canvas, options).draw();
}

}  // namespace whence::terminal
