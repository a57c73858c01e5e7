#include "host/tensor_memory.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <thread>

namespace whence::host {
namespace {

constexpr std::int64_t kMany = 1 << 20;  // float32 numbers, 4 MiB
constexpr std::int64_t kSlack = 4096;    // what allocators add

class TensorMemoryTest : public ::testing::Test {
 protected:
  TensorMemoryTest() { TensorMemory::watch(); }
};

TEST_F(TensorMemoryTest, CountsWhatIsHeldAtATime) {
  const at::Tensor before = at::empty({kMany});
  const TensorMemory::Peak peak;
  EXPECT_EQ(peak.bytes(), 0);
  {
    const at::Tensor first = at::empty({kMany});
    const at::Tensor second = first.view({2, -1});  // of the same memory
    EXPECT_NEAR(peak.bytes(), 4 * kMany, kSlack);
  }
  for (int i = 0; i < 3; ++i) at::empty({kMany / 2});
  EXPECT_NEAR(peak.bytes(), 4 * kMany, kSlack) << "one after the other is not at a time";
  const at::Tensor third = at::empty({kMany}), fourth = at::empty({kMany});
  EXPECT_NEAR(peak.bytes(), 8 * kMany, kSlack);
}

TEST_F(TensorMemoryTest, CountsEveryThread) {
  const TensorMemory::Peak peak;
  at::Tensor made;
  std::thread([&] { made = at::ones({kMany}); }).join();
  EXPECT_NEAR(peak.bytes(), 4 * kMany, kSlack);
  std::thread([&] { made.reset(); }).join();
  const TensorMemory::Peak later;
  made = at::empty({kMany});
  EXPECT_NEAR(later.bytes(), 4 * kMany, kSlack);
}

TEST_F(TensorMemoryTest, LetsTensorsOfEarlierTimesGrow) {
  at::Tensor tensor = at::empty({4});
  const TensorMemory::Peak peak;
  tensor.resize_({kMany});
  EXPECT_NEAR(peak.bytes(), 4 * kMany, kSlack);
}

TEST_F(TensorMemoryTest, CountsWhatIsImagined) {
  const TensorMemory::Peak peak;
  { const TensorMemory::Imagined bytes(1000); }
  const TensorMemory::Imagined more(500);
  EXPECT_EQ(peak.bytes(), 1000);
}

}  // namespace
}  // namespace whence::host
