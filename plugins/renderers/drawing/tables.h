#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "output_text.h"
#include "whence/attribution_output.h"

/// Token-level scores as tables that can be drawn on paper or in a terminal.
namespace whence::drawing {

struct Cell {
  std::string text;
  double score = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not coloured
};

struct Row {
  std::string position;  ///< of the token; empty for step scores
  std::string label;     ///< token, or name of the step score
  std::vector<Cell> cells;
};

/// What one table shows; `left_out` rows are missing from `rows`.
struct Table {
  std::string caption;  ///< stands above it; empty when the table goes on with the one before
  std::string title;
  std::vector<std::string> positions, tokens;  ///< the two lines above the columns
  std::vector<Row> rows, step_rows;
  std::int64_t left_out = 0;
};

struct TableOptions {
  int decimals = 2;
  /// Only so many rows of a table, those with the largest magnitudes.
  std::optional<std::int64_t> max_rows;
  TokenForm tokens = TokenForm::clean;
};

/// The tables of one sequence: source and target, or one for each step whose columns are the entries of the one dim
/// after T. Throws ConfigError when there are hidden units or more dims; `renderer` and `index` are named in it.
std::vector<Table> make_tables(const SequenceAttribution& sequence, const TableOptions& options,
                               const std::string& renderer, std::size_t index);

/// "3 of 9 rows, ..." below a table; empty when it has all of them.
std::string rows_left_out(const Table& table);

/// How to read the tables of an output.
std::string legend(const AttributionOutput& output, TokenForm tokens);

}  // namespace whence::drawing
