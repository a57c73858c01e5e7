#include "heatmap.h"

#include <algorithm>
#include <cmath>

#include "sheet.h"
#include "text.h"

namespace whence::svg {
namespace {

using namespace whence::drawing;

constexpr int kWidestLabel = 32, kWidestColumn = 24;  // letters
constexpr int kNarrowest = 72;                        // letters a line of text has at least

class Drawing {
 public:
  Drawing(const AttributionOutput& output, const DrawingOptions& options)
      : output_(output),
        options_(options),
        sheet_(options.font_size, options.dark),
        letter_(sheet_.letter()),
        line_(sheet_.line()),
        scale_(options.max_value ? *options.max_value : largest_magnitude(output)) {}

  std::string draw() {
    std::vector<std::vector<Table>> tables;
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) {
      tables.push_back(make_tables(output_.sequences[i], options_.tables, "svg", i));
      for (Table& table : tables.back()) shorten_labels(table);
    }
    sheet_.width = kNarrowest * letter_;
    for (const auto& list : tables)
      for (const Table& table : list)
        sheet_.width =
            std::max(sheet_.width, label_width(table) + static_cast<double>(table.tokens.size()) * column_width(table));
    columns_ = static_cast<int>(sheet_.width / letter_);

    const std::string title = heading(output_);
    if (!title.empty()) sheet_.draw_lines(shorten(title, columns_), {.bold = true});
    for (std::size_t i = 0; i < tables.size(); ++i) {
      const std::string text = "sequence " + std::to_string(i) + ": " + sequence_text(output_, i);
      sheet_.draw_lines(shorten(text, columns_), {.bold = true});
      for (const Table& table : tables[i]) draw_table(table);
      if (const std::string said = remark(output_.sequences[i]); !said.empty()) sheet_.draw_lines(wrap(said, columns_));
    }
    if (tables.empty()) sheet_.draw_lines("no sequences");
    for (const std::string& note : notes(output_)) sheet_.draw_lines(wrap("note: " + note, columns_));
    if (drawn_) draw_legend();
    return sheet_.document(title.empty() ? "Attributions" : title);
  }

 private:
  static void shorten_labels(Table& table) {
    for (std::string& token : table.tokens) token = shorten(token, kWidestColumn);
    for (auto* rows : {&table.rows, &table.step_rows})
      for (Row& row : *rows)
        row.label = shorten(row.position.empty() ? row.label : row.position + " " + row.label, kWidestLabel);
  }

  double label_width(const Table& table) const {
    int letters = display_width(table.title);
    for (const auto* rows : {&table.rows, &table.step_rows})
      for (const Row& row : *rows) letters = std::max(letters, display_width(row.label));
    return (letters + 1) * letter_;
  }

  double column_width(const Table& table) const {
    if (!options_.numbers) return line_;
    int letters = 3;
    for (const auto* rows : {&table.rows, &table.step_rows})
      for (const Row& row : *rows)
        for (const Cell& cell : row.cells) letters = std::max(letters, display_width(cell.text));
    return (letters + 1) * letter_;
  }

  /// The token with its position, as it stands above a column.
  static std::string column_label(const Table& table, std::size_t column) {
    return table.tokens[column].empty() ? table.positions[column]
                                        : table.tokens[column] + " " + table.positions[column];
  }

  Rgb heat(double score) const { return heat_color(scale_ > 0 ? score / scale_ : 0, sheet_.palette()); }

  void draw_table(const Table& table) {
    drawn_ = true;
    if (!table.caption.empty()) sheet_.draw_lines(shorten(table.caption, columns_));
    const double left = label_width(table), column = column_width(table);
    int letters = 0;
    for (std::size_t i = 0; i < table.tokens.size(); ++i)
      letters = std::max(letters, display_width(column_label(table, i)));
    sheet_.top += letters * letter_;
    for (std::size_t i = 0; i < table.tokens.size(); ++i)
      sheet_.add_text(left + (static_cast<double>(i) + 0.5) * column + 0.35 * options_.font_size, sheet_.top,
                      column_label(table, i), {.upward = true, .color = sheet_.ink()});
    sheet_.add_text(left - letter_, sheet_.top, table.title, {.anchor = "end", .bold = true, .color = sheet_.ink()});
    sheet_.top += 0.5 * options_.font_size;
    for (const auto* rows : {&table.rows, &table.step_rows}) {
      if (rows == &table.step_rows && !rows->empty()) {
        sheet_.add_box(0, sheet_.top + 1, left + static_cast<double>(table.tokens.size()) * column, 1, sheet_.ink());
        sheet_.top += 3;
      }
      for (const Row& row : *rows) draw_row(row, left, column);
    }
    if (const std::string text = rows_left_out(table); !text.empty()) sheet_.draw_lines(wrap(text, columns_));
    sheet_.top += line_;
  }

  void draw_row(const Row& row, double left, double column) {
    sheet_.add_text(left - letter_, sheet_.top + sheet_.baseline(), row.label,
                    {.anchor = "end", .color = sheet_.ink()});
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const Cell& cell = row.cells[i];
      const double x = left + static_cast<double>(i) * column;
      Rgb letters = sheet_.ink();
      if (!std::isnan(cell.score)) {
        const Rgb color = heat(cell.score);
        letters = letters_on(color);
        sheet_.add_box(x, sheet_.top, column - 1, line_ - 1, color);
      }
      if (options_.numbers && !cell.text.empty())
        sheet_.add_text(x + column - 1 - 0.5 * letter_, sheet_.top + sheet_.baseline(), cell.text,
                        {.anchor = "end", .color = letters});
    }
    sheet_.top += line_;
  }

  void draw_legend() {
    sheet_.draw_lines(wrap(legend(output_, options_.tables.tokens), columns_));
    if (scale_ == 0) return sheet_.draw_lines("all scores are zero");
    sheet_.draw_scale(number_text(-scale_, options_.tables.decimals), number_text(scale_, options_.tables.decimals));
  }

  const AttributionOutput& output_;
  const DrawingOptions& options_;
  Sheet sheet_;
  const double letter_, line_;  ///< width of a letter, height of a line
  const double scale_;          ///< magnitude at the ends of the colour scale
  int columns_ = 0;             ///< letters a line has room for
  bool drawn_ = false;
};

}  // namespace

std::string draw_heatmaps(const AttributionOutput& output, const DrawingOptions& options) {
  return Drawing(output, options).draw();
}

}  // namespace whence::svg
