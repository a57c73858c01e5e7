#pragma once

#include <cstdint>

namespace whence::host {

/// Bytes of CPU tensors in this process, in all threads, from the first call of `watch` on.
class TensorMemory {
 public:
  /// Begins to count; counting goes on for the life of the process.
  static void watch();

  /// Since this object was made, beyond what was held then: most bytes held at a time, and those held now.
  class Peak {
   public:
    Peak();
    std::int64_t bytes() const;
    std::int64_t held() const;

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
