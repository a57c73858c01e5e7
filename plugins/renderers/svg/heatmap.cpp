#include "heatmap.h"

#include <algorithm>
#include <cmath>
#include <kainjow/mustache.hpp>

#include "text.h"

namespace whence::svg {
namespace {

using namespace whence::drawing;
using kainjow::mustache::data;

// The file heatmap.svg, embedded by CMakeLists.txt.
constexpr const char* kTemplate =
#include "heatmap.svg.h"
    ;
constexpr int kWidestLabel = 32, kWidestColumn = 24;  // letters
constexpr int kNarrowest = 72;                        // letters a line of text has at least

/// How a text is placed.
struct Style {
  std::string anchor = "start";
  bool bold = false, upward = false;
  Rgb color;
};

std::string hex(const Rgb& color) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", color.red, color.green, color.blue);
  return text;
}

std::string pixels(double length) { return number_text(std::round(length * 100) / 100, 2); }

class Drawing {
 public:
  Drawing(const AttributionOutput& output, const DrawingOptions& options)
      : output_(output),
        options_(options),
        letter_(0.61 * options.font_size),
        line_(1.6 * options.font_size),
        scale_(options.max_value ? *options.max_value : largest_magnitude(output)),
        ground_(options.dark ? Rgb{23, 24, 28} : kWhite),
        ink_(options.dark ? Rgb{232, 233, 236} : kBlack) {}

  std::string draw() {
    std::vector<std::vector<Table>> tables;
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) {
      tables.push_back(make_tables(output_.sequences[i], options_.tables, "svg", i));
      for (Table& table : tables.back()) shorten_labels(table);
    }
    width_ = kNarrowest * letter_;
    for (const auto& list : tables)
      for (const Table& table : list)
        width_ = std::max(width_, label_width(table) + static_cast<double>(table.tokens.size()) * column_width(table));
    columns_ = static_cast<int>(width_ / letter_);

    const std::string title = heading(output_);
    if (!title.empty()) draw_lines(shorten(title, columns_), {.bold = true});
    for (std::size_t i = 0; i < tables.size(); ++i) {
      const std::string text = "sequence " + std::to_string(i) + ": " + sequence_text(output_, i);
      draw_lines(shorten(text, columns_), {.bold = true});
      for (const Table& table : tables[i]) draw_table(table);
      if (const std::string said = remark(output_.sequences[i]); !said.empty()) draw_lines(wrap(said, columns_));
    }
    if (tables.empty()) draw_lines("no sequences");
    for (const std::string& note : notes(output_)) draw_lines(wrap("note: " + note, columns_));
    if (drawn_) draw_legend();
    return document(title);
  }

 private:
  std::string document(const std::string& title) {
    data page;
    page.set("title", title.empty() ? "Attributions" : title);
    page.set("width", pixels(width_ + 2 * margin()));
    page.set("height", pixels(top_ + 2 * margin()));
    page.set("font_size", pixels(options_.font_size));
    page.set("ground", hex(ground_));
    page.set("boxes", boxes_);
    page.set("lines", lines_);
    return kainjow::mustache::mustache(kTemplate).render(page);
  }

  double margin() const { return options_.font_size; }

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

  void add_text(double x, double y, const std::string& text, const Style& style) {
    data line;
    line.set("x", pixels(margin() + x));
    line.set("y", pixels(margin() + y));
    line.set("fill", hex(style.color));
    line.set("anchor", style.anchor);
    line.set("bold", style.bold);
    line.set("upward", style.upward);
    line.set("text", text);
    lines_ << line;
  }

  void add_box(double x, double y, double width, double height, const Rgb& color) {
    data box;
    box.set("x", pixels(margin() + x));
    box.set("y", pixels(margin() + y));
    box.set("width", pixels(width));
    box.set("height", pixels(height));
    box.set("fill", hex(color));
    boxes_ << box;
  }

  /// Lines of text below what is drawn.
  void draw_lines(std::string_view text, Style style = {}) {
    style.color = ink_;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      add_text(0, top_ + baseline(), std::string(text.substr(0, end)), style);
      top_ += line_;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  /// Of a text in a line of height `line_`.
  double baseline() const { return 0.5 * line_ + 0.35 * options_.font_size; }

  Rgb heat(double score) const {
    return heat_color(scale_ > 0 ? score / scale_ : 0, options_.dark ? kDarkPalette : kLightPalette);
  }

  void draw_table(const Table& table) {
    drawn_ = true;
    if (!table.caption.empty()) draw_lines(shorten(table.caption, columns_));
    const double left = label_width(table), column = column_width(table);
    int letters = 0;
    for (std::size_t i = 0; i < table.tokens.size(); ++i)
      letters = std::max(letters, display_width(column_label(table, i)));
    top_ += letters * letter_;
    for (std::size_t i = 0; i < table.tokens.size(); ++i)
      add_text(left + (static_cast<double>(i) + 0.5) * column + 0.35 * options_.font_size, top_, column_label(table, i),
               {.upward = true, .color = ink_});
    add_text(left - letter_, top_, table.title, {.anchor = "end", .bold = true, .color = ink_});
    top_ += 0.5 * options_.font_size;
    for (const auto* rows : {&table.rows, &table.step_rows}) {
      if (rows == &table.step_rows && !rows->empty()) {
        add_box(0, top_ + 1, left + static_cast<double>(table.tokens.size()) * column, 1, ink_);
        top_ += 3;
      }
      for (const Row& row : *rows) draw_row(row, left, column);
    }
    if (const std::string text = rows_left_out(table); !text.empty()) draw_lines(wrap(text, columns_));
    top_ += line_;
  }

  void draw_row(const Row& row, double left, double column) {
    add_text(left - letter_, top_ + baseline(), row.label, {.anchor = "end", .color = ink_});
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const Cell& cell = row.cells[i];
      const double x = left + static_cast<double>(i) * column;
      Rgb letters = ink_;
      if (!std::isnan(cell.score)) {
        const Rgb color = heat(cell.score);
        letters = letters_on(color);
        add_box(x, top_, column - 1, line_ - 1, color);
      }
      if (options_.numbers && !cell.text.empty())
        add_text(x + column - 1 - 0.5 * letter_, top_ + baseline(), cell.text, {.anchor = "end", .color = letters});
    }
    top_ += line_;
  }

  void draw_legend() {
    draw_lines(wrap(legend(output_, options_.tables.tokens), columns_));
    if (scale_ == 0) return draw_lines("all scores are zero");
    const std::string low = "colours: " + number_text(-scale_, options_.tables.decimals);
    const double left = (display_width(low) + 1) * letter_;
    constexpr int kSwatches = 41;
    const double width = 0.5 * options_.font_size;
    for (int i = 0; i < kSwatches; ++i)
      add_box(left + i * width, top_ + 0.2 * line_, width, 0.6 * line_, heat(scale_ * (2.0 * i / (kSwatches - 1) - 1)));
    add_text(left + kSwatches * width + letter_, top_ + baseline(), number_text(scale_, options_.tables.decimals),
             {.color = ink_});
    draw_lines(low);
  }

  const AttributionOutput& output_;
  const DrawingOptions& options_;
  const double letter_, line_;  ///< width of a letter, height of a line
  const double scale_;          ///< magnitude at the ends of the colour scale
  const Rgb ground_, ink_;
  double width_ = 0, top_ = 0;  ///< without margins; `top_` is where the next thing is drawn
  int columns_ = 0;             ///< letters a line has room for
  bool drawn_ = false;
  data boxes_{data::type::list}, lines_{data::type::list};
};

}  // namespace

std::string draw_heatmaps(const AttributionOutput& output, const DrawingOptions& options) {
  return Drawing(output, options).draw();
}

}  // namespace whence::svg
