#include "host/tensor_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <atomic>

namespace whence::host {
namespace {

std::atomic<std::int64_t> held_bytes = 0, peak_bytes = 0;

void add(std::int64_t bytes) {
  const std::int64_t now = held_bytes += bytes;
  std::int64_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

/// libtorch's own allocator with a counter. Blocks that were made before it are freed as they would have been.
class CountingAllocator final : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) { free_of_inner = inner->raw_deleter(); }

  c10::DataPtr allocate(std::size_t bytes) override {
    c10::DataPtr block = inner_->allocate(bytes);
    void* const data = block.get();
    if (!data || block.get_deleter() != free_of_inner) return block;
    block.release_context();
    add(size_of(data));
    return {data, data, &free_block, block.device()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  /// What the block really takes: the same when it is freed as when it was made.
  static std::int64_t size_of(void* data) { return static_cast<std::int64_t>(malloc_usable_size(data)); }
  static void free_block(void* data) {
    if (!data) return;
    add(-size_of(data));
    free_of_inner(data);
  }

  static inline c10::DeleterFnPtr free_of_inner = nullptr;
  c10::Allocator* inner_;
};

}  // namespace

void TensorMemory::watch() {
  // Never deleted: tensors may outlive every object of static storage.
  static auto* const allocator = [] {
    auto* counting = new CountingAllocator(c10::GetCPUAllocator());
    c10::SetCPUAllocator(counting, /*priority=*/1);
    return counting;
  }();
  (void)allocator;
}

TensorMemory::Peak::Peak() : before_(held_bytes) { peak_bytes = before_; }
std::int64_t TensorMemory::Peak::bytes() const { return peak_bytes - before_; }
std::int64_t TensorMemory::Peak::held() const { return held_bytes - before_; }

TensorMemory::Imagined::Imagined(std::int64_t bytes) : bytes_(bytes) { add(bytes_); }
TensorMemory::Imagined::~Imagined() { add(-bytes_); }

}  // namespace whence::host
