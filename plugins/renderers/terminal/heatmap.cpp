#include "heatmap.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "palette.h"
#include "text.h"
#include "whence/error.h"
#include "whence/vocabulary.h"

namespace whence::terminal {
namespace {

constexpr int kNarrowest = 24;     // narrower canvases are drawn this wide
constexpr int kWidestColumn = 14;  // cells of a token above its column
constexpr std::string_view kRule = "│";
constexpr std::string_view kContrast = " → ";  // between the two entries of a contrasted step's label
constexpr std::array<std::string_view, 5> kShades = {" ", "░", "▒", "▓", "█"};

/// Scores of one table, row-major; NaN where a token cannot have had influence.
class Matrix {
 public:
  Matrix(const Tensor& tensor, std::int64_t columns)
      : values_(tensor.defined() ? tensor.detach().to(at::kCPU, at::kDouble).contiguous() : Tensor()),
        columns_(columns) {}

  std::int64_t rows() const { return values_.defined() ? values_.size(0) : 0; }
  double at(std::int64_t row, std::int64_t column) const {
    return values_.const_data_ptr<double>()[row * columns_ + column];
  }
  /// Largest magnitude in a row; 0 without scores.
  double magnitude(std::int64_t row) const {
    double largest = 0;
    for (std::int64_t column = 0; column < columns_; ++column) largest = std::fmax(largest, std::abs(at(row, column)));
    return largest;
  }

 private:
  Tensor values_;
  std::int64_t columns_;
};

struct Cell {
  std::string text;
  double score = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not coloured
};

struct Row {
  std::string label;
  std::vector<Cell> cells;
};

/// What one table shows; `left_out` rows are missing from `rows`.
struct Table {
  std::string title;
  std::vector<std::string> positions, tokens;  ///< the two lines above the columns
  std::vector<Row> rows, step_rows;
  std::int64_t left_out = 0;
};

std::string number_text(double value, int decimals, bool whole = false) {
  if (std::isnan(value)) return {};
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::abs(value) < 0.5 * std::pow(10.0, -decimals)) value = 0;  // no "-0.00"
  const auto format = std::abs(value) < 1e7 ? std::chars_format::fixed : std::chars_format::scientific;
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, whole ? 0 : decimals).ptr;
  return {buffer.data(), end};
}

/// One score for each token and step, or one more dim to draw as the columns of a table for each step.
void check_drawable(const SequenceAttribution& sequence, std::size_t index) {
  const std::int64_t expected = 2 + std::ssize(sequence.granularity);
  const bool named =
      std::ranges::all_of(std::array{sequence.source_attributions, sequence.target_attributions},
                          [&](const Tensor& scores) { return !scores.defined() || scores.dim() == expected; });
  if (named && expected <= 3 && (expected == 2 || sequence.granularity.front() != "hidden")) return;
  std::string dims;
  for (const std::string& name : sequence.granularity) dims += (dims.empty() ? "" : ", ") + printable(name);
  throw ConfigError("terminal: sequence " + std::to_string(index) + " has scores per " +
                    (dims.empty() ? "unnamed dim" : dims) +
                    ", expected one per token and step; aggregate them first, for example with vnorm or mean");
}

double largest_magnitude(const AttributionOutput& output) {
  double largest = 0;
  for (const SequenceAttribution& sequence : output.sequences)
    for (const Tensor& tensor : {sequence.source_attributions, sequence.target_attributions}) {
      const Matrix scores(tensor.defined() ? tensor.flatten(1) : tensor,
                          tensor.defined() && tensor.size(0) > 0 ? tensor.numel() / tensor.size(0) : 0);
      for (std::int64_t row = 0; row < scores.rows(); ++row)
        if (const double magnitude = scores.magnitude(row); std::isfinite(magnitude))
          largest = std::max(largest, magnitude);
    }
  return largest;
}

class Page {
 public:
  Page(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options)
      : output_(output),
        options_(options),
        columns_(std::max(canvas.columns, kNarrowest)),
        depth_(canvas.colors),
        scale_(options.max_value ? *options.max_value : largest_magnitude(output)) {}

  std::string draw() {
    draw_heading();
    for (std::size_t i = 0; i < output_.sequences.size(); ++i) draw_sequence(i);
    if (output_.sequences.empty()) page_ += "no sequences\n";
    draw_notes();
    if (drawn_) draw_legend();
    return std::move(page_);
  }

 private:
  std::string info_text(std::string_view key) const {
    for (const auto& [name, value] : output_.info)
      if (name == key && value.is_string()) return printable(value.as_string());
    return {};
  }

  void draw_heading() {
    std::string line = info_text("attribution_method");
    if (line.empty()) return;
    if (const std::string function = info_text("attributed_fn"); !function.empty()) line += " of " + function;
    if (const std::string model = info_text("model_name"); !model.empty()) line += ", " + model;
    page_ += bold(shorten(line, columns_), depth_) + "\n\n";
  }

  std::string sequence_text(std::size_t index) const {
    for (const auto& [name, value] : output_.info)
      if (name == "generated_texts" && value.is_list() && value.as_list().size() == output_.sequences.size() &&
          value.as_list()[index].is_string())
        return printable(value.as_list()[index].as_string());
    std::string text;
    const SequenceAttribution& sequence = output_.sequences[index];
    const Vocabulary vocabulary = vocabulary_of(sequence.source, sequence.target);
    for (const Token& token : sequence.target) {
      const std::size_t arrow = token.text.rfind(kContrast);
      text +=
          entry_text(arrow == std::string::npos ? token.text : token.text.substr(arrow + kContrast.size()), vocabulary);
    }
    return printable(text.substr(std::min(text.find_first_not_of(' '), text.size())));
  }

  std::string token_text(const Token& token, Vocabulary vocabulary) const {
    if (options_.raw_tokens) return printable(token.text);
    std::string text;
    std::string_view rest = token.text;
    for (;;) {
      const std::size_t arrow = rest.find(kContrast);
      text += replace_all(printable(entry_text(rest.substr(0, arrow), vocabulary)), " ", "·");
      if (arrow == std::string_view::npos) return text;
      text += kContrast;
      rest.remove_prefix(arrow + kContrast.size());
    }
  }

  void draw_sequence(std::size_t index) {
    const SequenceAttribution& sequence = output_.sequences[index];
    check_drawable(sequence, index);
    const std::string heading = "sequence " + std::to_string(index) + ": " + sequence_text(index);
    page_ += bold(shorten(heading, columns_), depth_) + "\n\n";
    if (sequence.steps.size() == 0) {
      page_ += "no explained tokens\n\n";
      return;
    }
    const bool source = sequence.source_attributions.defined(), target = sequence.target_attributions.defined();
    if (!sequence.granularity.empty()) {
      draw_maps(sequence);
      if (!sequence.step_scores.empty()) draw_table(make_table(sequence, {}, {}, "step scores", true));
      return;
    }
    if (source) draw_table(make_table(sequence, sequence.source, sequence.source_attributions, "source", !target));
    if (target) draw_table(make_table(sequence, sequence.target, sequence.target_attributions, "target", true));
    if (!source && !target && !sequence.step_scores.empty())
      draw_table(make_table(sequence, {}, {}, "step scores", true));
    else if (!source && !target)
      page_ += "no scores\n\n";
    if (!sequence.sequence_scores.empty()) {
      std::string names;
      for (const auto& [name, scores] : sequence.sequence_scores)
        names += (names.empty() ? "" : ", ") + printable(name);
      page_ += wrap("not drawn: " + names + " (maps between tokens)", columns_) + "\n";
    }
  }

  Table make_table(const SequenceAttribution& sequence, const std::vector<Token>& row_tokens, const Tensor& scores,
                   const std::string& title, bool with_step_scores) const {
    const Vocabulary vocabulary = vocabulary_of(sequence.source, sequence.target);
    const Span steps = sequence.steps;
    Table table{.title = title};
    for (std::int64_t position = steps.start; position < steps.end; ++position) {
      table.positions.push_back(std::to_string(position));
      table.tokens.push_back(shorten(token_text(sequence.target.at(position), vocabulary), widest_column()));
    }

    add_rows(table, row_tokens, vocabulary, Matrix(scores, steps.size()), steps.size());

    if (with_step_scores)
      for (const auto& [name, values] : sequence.step_scores) {
        const Tensor numbers = values.detach().to(at::kCPU, at::kDouble).contiguous();
        table.step_rows.push_back({shorten(printable(name), widest_label()), {}});
        for (std::int64_t step = 0; step < steps.size(); ++step)
          table.step_rows.back().cells.push_back(
              {number_text(numbers.const_data_ptr<double>()[step], options_.decimals, !values.is_floating_point()) +
               (options_.shades ? " " : "")});
      }
    return table;
  }

  void add_rows(Table& table, const std::vector<Token>& tokens, Vocabulary vocabulary, const Matrix& matrix,
                std::int64_t columns) const {
    const std::vector<std::int64_t> shown = rows_to_show(matrix);
    table.left_out = matrix.rows() - static_cast<std::int64_t>(shown.size());
    const int digits = static_cast<int>(std::to_string(std::max<std::int64_t>(matrix.rows() - 1, 0)).size());
    for (const std::int64_t row : shown) {
      const std::string token = shorten(token_text(tokens.at(row), vocabulary), widest_label() - digits - 1);
      table.rows.push_back({pad_left(std::to_string(row), digits) + " " + token, {}});
      for (std::int64_t column = 0; column < columns; ++column)
        table.rows.back().cells.push_back(cell(matrix.at(row, column)));
    }
  }

  /// A table for each step, whose columns are the entries of the one dim after it.
  void draw_maps(const SequenceAttribution& sequence) {
    const Vocabulary vocabulary = vocabulary_of(sequence.source, sequence.target);
    const std::string dim = replace_all(printable(sequence.granularity.front()), "_", " ");
    for (std::int64_t step = 0; step < sequence.steps.size(); ++step) {
      const std::int64_t position = sequence.steps.start + step;
      page_ += "step " + std::to_string(position) + " " + token_text(sequence.target.at(position), vocabulary) +
               ", columns: " + dim + "\n\n";
      for (const bool of_source : {true, false}) {
        const Tensor& scores = of_source ? sequence.source_attributions : sequence.target_attributions;
        if (!scores.defined()) continue;
        Table table{.title = of_source ? "source" : "target"};
        for (std::int64_t column = 0; column < scores.size(2); ++column) {
          table.positions.push_back(std::to_string(column));
          table.tokens.emplace_back();
        }
        add_rows(table, of_source ? sequence.source : sequence.target, vocabulary,
                 Matrix(scores.select(1, step), scores.size(2)), scores.size(2));
        maps_drawn_ = true;
        draw_table(table);
      }
    }
  }

  /// The rows to draw, ascending: all, or those with the largest magnitudes.
  std::vector<std::int64_t> rows_to_show(const Matrix& matrix) const {
    std::vector<std::int64_t> rows(matrix.rows());
    std::iota(rows.begin(), rows.end(), 0);
    if (!options_.max_rows || matrix.rows() <= *options_.max_rows) return rows;
    std::vector<double> magnitudes;
    for (const std::int64_t row : rows) magnitudes.push_back(matrix.magnitude(row));
    std::ranges::stable_sort(rows, std::greater<>(), [&](std::int64_t row) { return magnitudes[row]; });
    rows.resize(*options_.max_rows);
    std::ranges::sort(rows);
    return rows;
  }

  /// Position of a score on the colour scale, from -1 to 1.
  double heat(double score) const { return scale_ > 0 ? std::clamp(score / scale_, -1.0, 1.0) : 0.0; }

  Cell cell(double score) const {
    std::string text = number_text(score, options_.decimals);
    if (options_.shades)
      text += std::isnan(score) ? " " : kShades[std::lround(std::abs(heat(score)) * (kShades.size() - 1))];
    return {std::move(text), score};
  }

  int widest_column() const { return std::min(kWidestColumn, columns_ / 3); }
  int widest_label() const { return std::max(columns_ / 3, 10); }

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
    if (table.left_out > 0)
      page_ += wrap(std::to_string(table.rows.size()) + " of " +
                        std::to_string(static_cast<std::int64_t>(table.rows.size()) + table.left_out) +
                        " rows, those with the largest scores (max_rows)",
                    columns_) +
               "\n";
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

  /// What the method said about its scores.
  void draw_notes() {
    const auto found = std::ranges::find(output_.info, "notes", &Value::Map::value_type::first);
    if (found == output_.info.end() || !found->second.is_list()) return;
    for (const Value& note : found->second.as_list())
      if (note.is_string()) page_ += wrap("note: " + printable(note.as_string()), columns_);
    page_ += "\n";
  }

  void draw_legend() {
    std::string text = maps_drawn_ ? "rows: attributed tokens with their position; empty: no influence possible"
                                   : "columns: explained tokens; rows: attributed tokens; both with their position; "
                                     "empty: no influence possible";
    if (!options_.raw_tokens) text += "; ·: blank";
    page_ += wrap(text, columns_);
    if (scale_ == 0) {
      page_ += "all scores are zero\n";
      return;
    }
    const std::string low = number_text(-scale_, options_.decimals), high = number_text(scale_, options_.decimals);
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
  bool drawn_ = false, maps_drawn_ = false;
};

}  // namespace

std::string draw_heatmaps(const AttributionOutput& output, const Canvas& canvas, const HeatmapOptions& options) {
  return Page(output, canvas, options).draw();
}

}  // namespace whence::terminal
