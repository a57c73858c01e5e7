#pragma once

#include <cstdint>

namespace whence::host {

/// Bytes of CPU tensors in this process, in all threads, from the first call of `watch` on.
class TensorMemory {
 public:
  /// Begins to count; counting goes on for the life of the process.
  static void watch();

  /// Most bytes held at a time since this object was made, beyond those that were held then.
  class Peak {
   public:
    Peak();
    std::int64_t bytes() const;

   private:
    std::int64_t before_;
  };

  /// Bytes that count as held while this object lives, though nothing holds them.
  class Imagined {
   public:
    explicit Imagined(std::int64_t bytes);
    ~Imagined();
    Imagined(const Imagined&) = delete;
    Imagined& operator=(const Imagined&) = delete;

   private:
    std::int64_t bytes_;
  };
};

}  // namespace whence::host
