#pragma once

#include <cstdint>

namespace whence {

/// Half-open range of positions, [start, end).
struct Span {
  std::int64_t start = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - start; }
  bool operator==(const Span&) const = default;
};

}  // namespace whence
