#pragma once

#include <cstdint>
#include <vector>

#include "whence/tensor.h"

namespace whence::transformer {

/// Keys (already turned) and values of some rows, for every layer.
struct KeyValues {
  std::vector<Tensor> layers;  ///< N tensors [rows, stride]
  std::int64_t key_column = 0, value_column = 0;
  std::vector<std::int64_t> first_row;  ///< row of the first position of each text
  std::vector<std::int64_t> length;     ///< positions of each text
};

/// Neighbouring positions of one text, in neighbouring rows of a pass.
struct Segment {
  std::int64_t text = 0;              ///< which text of the batch
  std::int64_t row = 0;               ///< row of the first position
  std::int64_t start = 0, count = 0;  ///< positions [start, start + count)
  const KeyValues* prefix = nullptr;  ///< holds the positions before `start`, when there are any
  std::int64_t prefix_text = 0;       ///< which text of `prefix`
  Tensor unseen = {};                 ///< [positions] bool: those that attention passes over; undefined: none

  std::int64_t end() const { return start + count; }
};

/// The rows of a pass: the segments of all texts, one after another, without padding.
struct RowLayout {
  std::vector<Segment> segments;
  std::vector<std::int64_t> position;  ///< [R]
  std::vector<std::int64_t> segment;   ///< [R]

  std::int64_t rows() const { return static_cast<std::int64_t>(position.size()); }
  /// Puts a segment behind the others; its `row` is set.
  void add(Segment next) {
    next.row = rows();
    for (std::int64_t i = 0; i < next.count; ++i) {
      position.push_back(next.start + i);
      segment.push_back(static_cast<std::int64_t>(segments.size()));
    }
    segments.push_back(next);
  }
};

}  // namespace whence::transformer
