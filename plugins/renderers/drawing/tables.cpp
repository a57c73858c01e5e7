#include "tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "text.h"
#include "whence/error.h"

namespace whence::drawing {
namespace {

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

void check_drawable(const SequenceAttribution& sequence, const std::string& renderer, std::size_t index) {
  const std::int64_t expected = 2 + std::ssize(sequence.granularity);
  const bool named =
      std::ranges::all_of(std::array{sequence.source_attributions, sequence.target_attributions},
                          [&](const Tensor& scores) { return !scores.defined() || scores.dim() == expected; });
  if (named && expected <= 3 && (expected == 2 || sequence.granularity.front() != "hidden")) return;
  std::string dims;
  for (const std::string& name : sequence.granularity) dims += (dims.empty() ? "" : ", ") + printable(name);
  throw ConfigError(renderer + ": sequence " + std::to_string(index) + " has scores per " +
                    (dims.empty() ? "unnamed dim" : dims) +
                    ", expected one per token and step; aggregate them first, for example with vnorm or mean");
}

/// The rows to draw, ascending: all, or those with the largest magnitudes.
std::vector<std::int64_t> rows_to_show(const Matrix& matrix, const std::optional<std::int64_t>& max_rows) {
  std::vector<std::int64_t> rows(matrix.rows());
  std::iota(rows.begin(), rows.end(), 0);
  if (!max_rows || matrix.rows() <= *max_rows) return rows;
  std::vector<double> magnitudes;
  for (const std::int64_t row : rows) magnitudes.push_back(matrix.magnitude(row));
  std::ranges::stable_sort(rows, std::greater<>(), [&](std::int64_t row) { return magnitudes[row]; });
  rows.resize(*max_rows);
  std::ranges::sort(rows);
  return rows;
}

class TableMaker {
 public:
  TableMaker(const SequenceAttribution& sequence, const TableOptions& options)
      : sequence_(sequence), options_(options), vocabulary_(vocabulary_of(sequence.source, sequence.target)) {}

  std::vector<Table> of_steps() const {
    const bool source = sequence_.source_attributions.defined(), target = sequence_.target_attributions.defined();
    std::vector<Table> tables;
    if (source) tables.push_back(with_steps("source", sequence_.source, sequence_.source_attributions, !target));
    if (target) tables.push_back(with_steps("target", sequence_.target, sequence_.target_attributions, true));
    if (!source && !target) add_step_scores(tables);
    return tables;
  }

  std::vector<Table> of_maps() const {
    const std::string dim = replace_all(printable(sequence_.granularity.front()), "_", " ");
    std::vector<Table> tables;
    for (std::int64_t step = 0; step < sequence_.steps.size(); ++step) {
      const std::int64_t position = sequence_.steps.start + step;
      std::string caption =
          "step " + std::to_string(position) + " " + label(sequence_.target.at(position)) + ", columns: " + dim;
      for (const bool of_source : {true, false}) {
        const Tensor& scores = of_source ? sequence_.source_attributions : sequence_.target_attributions;
        if (!scores.defined()) continue;
        Table table{.caption = std::exchange(caption, {}), .title = of_source ? "source" : "target"};
        for (std::int64_t column = 0; column < scores.size(2); ++column)
          table.positions.push_back(std::to_string(column));
        table.tokens.resize(table.positions.size());
        add_rows(table, of_source ? sequence_.source : sequence_.target, Matrix(scores.select(1, step), scores.size(2)),
                 scores.size(2));
        tables.push_back(std::move(table));
      }
    }
    add_step_scores(tables);
    return tables;
  }

 private:
  std::string label(const Token& token) const { return token_label(token, vocabulary_, options_.tokens); }

  void add_step_scores(std::vector<Table>& tables) const {
    if (!sequence_.step_scores.empty()) tables.push_back(with_steps("step scores", {}, {}, true));
  }

  Table with_steps(const std::string& title, const std::vector<Token>& row_tokens, const Tensor& scores,
                   bool with_step_scores) const {
    const Span steps = sequence_.steps;
    Table table{.title = title};
    for (std::int64_t position = steps.start; position < steps.end; ++position) {
      table.positions.push_back(std::to_string(position));
      table.tokens.push_back(label(sequence_.target.at(position)));
    }
    add_rows(table, row_tokens, Matrix(scores, steps.size()), steps.size());
    if (!with_step_scores) return table;
    for (const auto& [name, values] : sequence_.step_scores) {
      const Tensor numbers = values.detach().to(at::kCPU, at::kDouble).contiguous();
      table.step_rows.push_back({{}, printable(name), {}});
      for (std::int64_t step = 0; step < steps.size(); ++step)
        table.step_rows.back().cells.push_back(
            {number_text(numbers.const_data_ptr<double>()[step], options_.decimals, !values.is_floating_point())});
    }
    return table;
  }

  void add_rows(Table& table, const std::vector<Token>& tokens, const Matrix& matrix, std::int64_t columns) const {
    const std::vector<std::int64_t> shown = rows_to_show(matrix, options_.max_rows);
    table.left_out = matrix.rows() - std::ssize(shown);
    for (const std::int64_t row : shown) {
      table.rows.push_back({std::to_string(row), label(tokens.at(row)), {}});
      for (std::int64_t column = 0; column < columns; ++column) {
        const double score = matrix.at(row, column);
        table.rows.back().cells.push_back({number_text(score, options_.decimals), score});
      }
    }
  }

  const SequenceAttribution& sequence_;
  const TableOptions& options_;
  const Vocabulary vocabulary_;
};

bool is_map(const SequenceAttribution& sequence) {
  return !sequence.granularity.empty() && has_attributions(sequence) && sequence.steps.size() > 0;
}

}  // namespace

std::vector<Table> make_tables(const SequenceAttribution& sequence, const TableOptions& options,
                               const std::string& renderer, std::size_t index) {
  check_drawable(sequence, renderer, index);
  if (sequence.steps.size() == 0) return {};
  const TableMaker maker(sequence, options);
  return sequence.granularity.empty() ? maker.of_steps() : maker.of_maps();
}

std::string rows_left_out(const Table& table) {
  if (table.left_out == 0) return {};
  return std::to_string(table.rows.size()) + " of " + std::to_string(std::ssize(table.rows) + table.left_out) +
         " rows, those with the largest scores (max_rows)";
}

std::string legend(const AttributionOutput& output, TokenForm tokens) {
  std::string text = std::ranges::any_of(output.sequences, is_map)
                         ? "rows: attributed tokens with their position; empty: no influence possible"
                         : "columns: explained tokens; rows: attributed tokens; both with their position; "
                           "empty: no influence possible";
  return tokens == TokenForm::clean ? text + "; ·: blank" : text;
}

}  // namespace whence::drawing
