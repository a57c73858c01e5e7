#include "heatmap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ansi.h"
#include "shades.h"
#include "tables.h"
#include "text.h"

namespace whence::terminal {
namespace {

using namespace drawing;

constexpr int kNarrowest = 24;     // narrower canvases are drawn this wide
constexpr int kWidestColumn = 14;  // cells of a token above its column
constexpr std::string_view kRule = "│";

class Page {
 public:
  Page(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options)
      : output_(output),
        options_(options),
        columns_(std::max(canvas.columns, kNarrowest)),
        depth_(canvas.colors),
        scale_(options.max_value ? *options.max_value : largest_magnitude(output)) {}

  std::string draw() {
    if (const std::string line = heading(output_); !line.empty()) draw_heading(line);
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) draw_sequence(i);
    if (output_.sequences.empty()) page_ += "no sequences\n";
    draw_notes();
    if (drawn_) draw_legend();
    return std::move(page_);
  }

 private:
  void draw_heading(const std::string& line) { page_ += bold(shorten(line, columns_), depth_) + "\n\n"; }

  void draw_sequence(std::size_t index) {
    const SequenceAttribution& sequence = output_.sequences[index];
    const std::vector<Table> tables = make_tables(sequence, options_.tables, "terminal", index);
    draw_heading("sequence " + std::to_string(index) + ": " + sequence_text(output_, index));
    for (const Table& table : tables) {
      if (!table.caption.empty()) page_ += table.caption + "\n\n";
      draw_table(fitted(table));
    }
    if (const std::string text = remark(sequence); !text.empty()) page_ += wrap(text, columns_) + "\n";
  }

  /// With texts no wider than their columns, and shades beside the numbers.
  Table fitted(Table table) const {
    const int widest_column = std::min(kWidestColumn, columns_ / 3), widest_label = std::max(columns_ / 3, 10);
    for (std::string& token : table.tokens) token = shorten(token, widest_column);
    std::size_t digits = 0;
    for (const Row& row : table.rows) digits = std::max(digits, row.position.size());
    const int width = static_cast<int>(digits);
    for (Row& row : table.rows) {
      row.label = pad_left(row.position, width) + " " + shorten(row.label, widest_label - width - 1);
      if (options_.shades)
        for (Cell& cell : row.cells) cell.text += shade(cell.score);
    }
    for (Row& row : table.step_rows) {
      row.label = shorten(row.label, widest_label);
      if (options_.shades)
        for (Cell& cell : row.cells) cell.text += " ";
    }
    return table;
  }

  std::string_view shade(double score) const { return std::isnan(score) ? " " : whence::terminal::shade(heat(score)); }

  /// Position of a score on the colour scale, from -1 to 1.
  double heat(double score) const { return scale_ > 0 ? std::clamp(score / scale_, -1.0, 1.0) : 0.0; }

  void draw_table(const Table& table) {
    drawn_ = true;
    int label_width = display_width(table.title);
    for (const auto* rows : {&table.rows, &table.step_rows})
      for (const Row& row : *rows) label_width = std::max(label_width, display_width(row.label));
    std::vector<int> widths;
    for (std::size_t column = 0; column < table.tokens.size(); ++column) {
      widths.push_back(std::max(display_width(table.positions[column]), display_width(table.tokens[column])));
      for (const auto* rows : {&table.rows, &table.step_rows})
        for (const Row& row : *rows) widths.back() = std::max(widths.back(), display_width(row.cells[column].text));
    }
    // Columns that don't fit beside each other are drawn in blocks, each with the labels of the rows.
    for (std::size_t first = 0; first < widths.size();) {
      std::size_t end = first;
      for (int used = label_width + 2; end < widths.size() && (end == first || used + 1 + widths[end] <= columns_);
           ++end)
        used += 1 + widths[end];
      draw_block(table, label_width, widths, first, end);
      first = end;
    }
    if (const std::string text = rows_left_out(table); !text.empty()) page_ += wrap(text, columns_) + "\n";
  }

  void draw_block(const Table& table, int label_width, const std::vector<int>& widths, std::size_t first,
                  std::size_t end) {
    const auto draw_line = [&](std::string_view label, const auto& text_of) {
      std::string line = pad_right(label, label_width).append(" ").append(kRule);
      for (std::size_t column = first; column < end; ++column) line += text_of(column);
      line.resize(line.find_last_not_of(' ') + 1);
      page_ += line + "\n";
    };
    const auto draw_rule = [&] {
      for (int i = 0; i <= label_width; ++i) page_ += "─";
      page_ += "┼";
      for (int i = std::accumulate(widths.begin() + first, widths.begin() + end, static_cast<int>(end - first)); i > 0;
           --i)
        page_ += "─";
      page_ += "\n";
    };
    const auto plain = [&](const std::vector<std::string>& texts) {
      return [&](std::size_t column) { return pad_left(texts[column], widths[column] + 1); };
    };
    draw_line(table.title, plain(table.positions));
    if (std::ranges::any_of(table.tokens, [](const std::string& text) { return !text.empty(); }))
      draw_line("", plain(table.tokens));
    for (const Row& row : table.rows) {
      if (&row == &table.rows.front()) draw_rule();
      draw_line(row.label, [&](std::size_t column) {
        const Cell& cell = row.cells[column];
        const std::string text = pad_left(cell.text, widths[column] + 1);
        return std::isnan(cell.score) ? text : on_heat(text, heat(cell.score), depth_);
      });
    }
    for (const Row& row : table.step_rows) {
      if (&row == &table.step_rows.front()) draw_rule();
      draw_line(row.label, [&](std::size_t column) { return pad_left(row.cells[column].text, widths[column] + 1); });
    }
    page_ += "\n";
  }

  void draw_notes() {
    const std::vector<std::string> texts = notes(output_);
    for (const std::string& text : texts) page_ += wrap("note: " + text, columns_);
    if (!texts.empty()) page_ += "\n";
  }

  void draw_legend() {
    page_ += wrap(legend(output_, options_.tables.tokens), columns_);
    if (scale_ == 0) {
      page_ += "all scores are zero\n";
      return;
    }
    const std::string low = number_text(-scale_, options_.tables.decimals),
                      high = number_text(scale_, options_.tables.decimals);
    if (depth_ != ColorDepth::none) {
      constexpr int kSwatches = 9;
      page_ += "colours: " + low + " ";
      for (int i = 0; i < kSwatches; ++i) page_ += on_heat(" ", 2.0 * i / (kSwatches - 1) - 1.0, depth_);
      page_ += " " + high + "\n";
    }
    if (options_.shades) {
      page_ += "shades: 0 ";
      for (const std::string_view shade : kShades) page_ += shade;
      page_ += " " + high + "\n";
    }
  }

  const AttributionOutput& output_;
  const HeatmapOptions& options_;
  const int columns_;
  const ColorDepth depth_;
  const double scale_;  ///< magnitude at the ends of the colour scale
  std::string page_;
  bool drawn_ = false;
};

}  // namespace

std::string draw_heatmaps(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options) {
  return Page(output, canvas, options).draw();
}

}  // namespace whence::terminal
