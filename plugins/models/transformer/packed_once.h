#pragma once

#include <mutex>

namespace whence::transformer {

/// Something packed from weights, made when it is first needed. [thread: any]
template <class Packed>
class PackedOnce {
 public:
  /// What is kept, or `scratch`, packed anew, when nothing is to be kept. `pack` fills what it is given.
  template <class Pack>
  const Packed& get(bool keep, Packed& scratch, const Pack& pack) {
    if (!keep) {
      pack(scratch);
      return scratch;
    }
    std::call_once(once_, [&] { pack(kept_); });
    return kept_;
  }

 private:
  std::once_flag once_;
  Packed kept_;
};

}  // namespace whence::transformer
