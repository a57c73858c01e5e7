#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include "checkpoint_fuzzer.h"

namespace whence::transformer::fuzzing {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uintmax_t kMaxSeed = 100000;  ///< larger files take long and have nothing that small ones lack

std::vector<Bytes> seeds() {
  std::vector<Bytes> found;
  for (const auto& entry : std::filesystem::directory_iterator(WHENCE_FUZZ_SEEDS)) {
    if (entry.path().extension() != "." WHENCE_FUZZ_FORMAT || entry.file_size() > kMaxSeed) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    found.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::ranges::sort(found, {}, &Bytes::size);
  return found;
}

/// Deterministic changes of the kinds that break parsers: other numbers, other bytes, parts cut, removed or repeated.
class Mutator {
 public:
  Bytes mutate(Bytes bytes) {
    for (int rounds = 1 + below(3); rounds > 0 && !bytes.empty(); --rounds) mutate_once(bytes);
    return bytes;
  }

 private:
  int below(std::size_t limit) { return static_cast<int>(engine_() % limit); }

  /// Mostly in the header, where the structure is.
  std::ptrdiff_t position(const Bytes& bytes) {
    return below(below(8) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 1024));
  }

  void mutate_once(Bytes& bytes) {
    static constexpr std::array<std::uint64_t, 12> kNumbers{0,
                                                            1,
                                                            2,
                                                            31,
                                                            33,
                                                            255,
                                                            0x7fffffff,
                                                            0x80000000,
                                                            0xffffffff,
                                                            std::uint64_t{1} << 62,
                                                            std::uint64_t{1} << 63,
                                                            std::numeric_limits<std::uint64_t>::max()};
    const auto at = position(bytes);
    const auto left = bytes.size() - static_cast<std::size_t>(at);
    switch (below(7)) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1 << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(engine_());
        break;
      case 2: {
        const std::uint64_t number = kNumbers[below(kNumbers.size())];
        const std::size_t widths[] = {1, 4, 8};
        std::memcpy(&bytes[at], &number, std::min(left, widths[below(3)]));
        break;
      }
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.erase(bytes.begin() + at, bytes.begin() + at + below(std::min<std::size_t>(left, 16)) + 1);
        break;
      case 5: {
        const Bytes piece(bytes.begin() + at, bytes.begin() + at + below(std::min<std::size_t>(left, 64)) + 1);
        bytes.insert(bytes.begin() + position(bytes), piece.begin(), piece.end());
        break;
      }
      case 6: {
        static constexpr std::string_view kText = "0123456789-\"[]{},:eE.\\";
        bytes[at] = static_cast<std::uint8_t>(kText[below(kText.size())]);
        break;
      }
    }
  }

  std::mt19937 engine_{20240607};
};

TEST(Mutations, ValidFilesAreRead) {
  ASSERT_FALSE(seeds().empty());
  for (const Bytes& seed : seeds()) EXPECT_TRUE(reads(seed));
}

TEST(Mutations, AreReadOrRefusedWithAModelError) {
  constexpr int kMutations = 20000;
  Mutator mutator;
  int read = 0, refused = 0;
  for (const Bytes& seed : seeds())
    for (int i = 0; i < kMutations; ++i) ++(reads(mutator.mutate(seed)) ? read : refused);
  EXPECT_GT(read, 0) << "no mutation reaches the tensors";
  EXPECT_GT(refused, kMutations / 4) << "damage goes unnoticed";
}

}  // namespace
}  // namespace whence::transformer::fuzzing
