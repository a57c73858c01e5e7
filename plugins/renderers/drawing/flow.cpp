#include "flow.h"

#include "text.h"

namespace whence::drawing {
namespace {

class Flow {
 public:
  explicit Flow(int columns) : columns_(columns) {}

  /// A part of a piece without blanks inside; `blank` cells follow it.
  void add(Piece part, bool blank) {
    word_width_ += display_width(part.text);
    word_.push_back(std::move(part));
    if (blank || word_.back().ends_line) end_word();
  }

  std::vector<Line> finish() {
    end_word();
    if (!line_.empty()) end_line();
    return std::move(lines_);
  }

 private:
  void end_word() {
    if (width_ > 0 && width_ + word_width_ > columns_) end_line();
    for (Piece& part : word_) {
      const int width = display_width(part.text);
      if (width_ > 0 && width_ + width > columns_) end_line();
      width_ += width;
      const bool ends_line = part.ends_line;
      line_.push_back(std::move(part));
      if (ends_line) end_line();
    }
    word_.clear();
    word_width_ = 0;
  }

  void end_line() {
    lines_.push_back(std::move(line_));
    line_.clear();
    width_ = 0;
  }

  const int columns_;
  std::vector<Line> lines_;
  Line line_;  ///< that is filled
  Line word_;  ///< parts since the last blank
  int width_ = 0, word_width_ = 0;
};

}  // namespace

std::vector<Line> flow(const std::vector<Piece>& pieces, int columns) {
  Flow lines(columns);
  for (const Piece& piece : pieces) {
    std::string_view rest = piece.text;
    for (std::size_t blank; !piece.strong && (blank = rest.find(' ')) != std::string_view::npos;
         rest.remove_prefix(blank + 1)) {
      if (blank + 1 == rest.size()) break;
      lines.add({std::string(rest.substr(0, blank + 1)), piece.score}, true);
    }
    lines.add({std::string(rest), piece.score, piece.strong, piece.ends_line}, rest.ends_with(' '));
  }
  return lines.finish();
}

}  // namespace whence::drawing
