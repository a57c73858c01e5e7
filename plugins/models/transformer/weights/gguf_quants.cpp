#include "gguf_quants.h"

#include <c10/util/Half.h>

#include <array>
#include <cstring>

namespace whence::transformer {
namespace {

using Byte = std::uint8_t;

float half_at(const Byte* bytes) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return c10::detail::fp16_ieee_to_fp32_value(bits);
}

std::uint32_t word_at(const Byte* bytes) {
  std::uint32_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

// Small blocks: 32 elements that share one scale. The nibble formats keep element j in the low and element j + 16 in
// the high half of nibble byte j.

/// 2 bytes scale (f16), 16 bytes of nibbles; x = scale * (q - 8).
struct Q4_0 {
  static constexpr int kElements = 32, kBytes = 18;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block);
    const Byte* nibbles = block + 2;
    for (int j = 0; j < 16; ++j) {
      out[j] = scale * static_cast<float>((nibbles[j] & 15) - 8);
      out[j + 16] = scale * static_cast<float>((nibbles[j] >> 4) - 8);
    }
  }
};

/// 2 bytes scale (f16), 2 bytes minimum (f16), 16 bytes of nibbles; x = scale * q + minimum.
struct Q4_1 {
  static constexpr int kElements = 32, kBytes = 20;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block), minimum = half_at(block + 2);
    const Byte* nibbles = block + 4;
    for (int j = 0; j < 16; ++j) {
      out[j] = scale * static_cast<float>(nibbles[j] & 15) + minimum;
      out[j + 16] = scale * static_cast<float>(nibbles[j] >> 4) + minimum;
    }
  }
};

/// 2 bytes scale (f16), 4 bytes holding the fifth bit of element j in bit j, 16 bytes of nibbles; x = scale * (q - 16).
struct Q5_0 {
  static constexpr int kElements = 32, kBytes = 22;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block);
    const std::uint32_t fifth = word_at(block + 2);
    const Byte* nibbles = block + 6;
    for (int j = 0; j < 16; ++j) {
      const int low = (nibbles[j] & 15) | static_cast<int>(fifth >> j & 1) << 4;
      const int high = nibbles[j] >> 4 | static_cast<int>(fifth >> (j + 16) & 1) << 4;
      out[j] = scale * static_cast<float>(low - 16);
      out[j + 16] = scale * static_cast<float>(high - 16);
    }
  }
};

/// 2 bytes scale (f16), 2 bytes minimum (f16), 4 bytes of fifth bits, 16 bytes of nibbles; x = scale * q + minimum.
struct Q5_1 {
  static constexpr int kElements = 32, kBytes = 24;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block), minimum = half_at(block + 2);
    const std::uint32_t fifth = word_at(block + 4);
    const Byte* nibbles = block + 8;
    for (int j = 0; j < 16; ++j) {
      const int low = (nibbles[j] & 15) | static_cast<int>(fifth >> j & 1) << 4;
      const int high = nibbles[j] >> 4 | static_cast<int>(fifth >> (j + 16) & 1) << 4;
      out[j] = scale * static_cast<float>(low) + minimum;
      out[j + 16] = scale * static_cast<float>(high) + minimum;
    }
  }
};

/// 2 bytes scale (f16), 32 signed bytes; x = scale * q.
struct Q8_0 {
  static constexpr int kElements = 32, kBytes = 34;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block);
    const Byte* values = block + 2;
    for (int j = 0; j < 32; ++j) out[j] = scale * static_cast<float>(static_cast<std::int8_t>(values[j]));
  }
};

// K blocks: 256 elements in groups of 16 or 32 with small integer scales, which one or two f16 "super" scales multiply.

/// Where a group of 16 lies in formats that cut a block into halves of 128 elements, and those into quarters of 32
/// which share their bytes: element `first + j` of quarter `quarter` of half `half`.
struct GroupPlace {
  int half, quarter, first;
};

constexpr GroupPlace place_of(int group) { return {group / 8, group / 2 % 4, group % 2 * 16}; }

/// 16 bytes of group scales (low nibble) and minima (high nibble), 64 bytes of two-bit values, 2 bytes scale (f16),
/// 2 bytes scale of the minima (f16); groups of 16; x = scale * s * q - minimum_scale * m.
/// Each half of 128 elements owns 32 value bytes: byte l holds elements l, l + 32, l + 64, l + 96 from the low bits up.
struct Q2_K {
  static constexpr int kElements = 256, kBytes = 84;
  static void decode(const Byte* block, float* out) {
    const Byte *groups = block, *values = block + 16;
    const float scale = half_at(block + 80), minimum_scale = half_at(block + 82);
    for (int g = 0; g < 16; ++g) {
      const auto [half, quarter, first] = place_of(g);
      const float group = scale * static_cast<float>(groups[g] & 15);
      const float minimum = minimum_scale * static_cast<float>(groups[g] >> 4);
      for (int j = 0; j < 16; ++j) {
        const int q = values[half * 32 + first + j] >> (2 * quarter) & 3;
        out[g * 16 + j] = group * static_cast<float>(q) - minimum;
      }
    }
  }
};

/// 32 bytes of third bits, 64 bytes of two-bit values laid out as in Q2_K, 12 bytes of group scales, 2 bytes scale
/// (f16); groups of 16; x = scale * (s - 32) * (q - 4), where q takes its third bit from bit i / 32 of byte i % 32.
/// Scale g of 16: its low four bits are nibble g of the first 8 bytes (the low nibbles first, then the high ones), its
/// upper two bits are bit pair g / 4 of byte 8 + g % 4.
struct Q3_K {
  static constexpr int kElements = 256, kBytes = 110;
  static void decode(const Byte* block, float* out) {
    const Byte *thirds = block, *values = block + 32, *packed = block + 96;
    const float scale = half_at(block + 108);
    for (int g = 0; g < 16; ++g) {
      const auto [half, quarter, first] = place_of(g);
      const int low = packed[g % 8] >> (g / 8 * 4) & 15;
      const int high = packed[8 + g % 4] >> (2 * (g / 4)) & 3;
      const float group = scale * static_cast<float>((low | high << 4) - 32);
      for (int j = 0; j < 16; ++j) {
        const int q = (values[half * 32 + first + j] >> (2 * quarter) & 3) | (thirds[first + j] >> (g / 2) & 1) << 2;
        out[g * 16 + j] = group * static_cast<float>(q - 4);
      }
    }
  }
};

/// The scale and minimum of one group of 32 in Q4_K and Q5_K.
struct ScaleAndMinimum {
  float scale, minimum;
};

/// Eight six-bit scales and eight six-bit minima in 12 bytes: groups 0 to 3 keep theirs in the low six bits of bytes g
/// and g + 4; groups 4 to 7 keep the low four bits in the two nibbles of byte g + 4 and the upper two in the top bits
/// of bytes g - 4 and g.
ScaleAndMinimum group_scale(const Byte* packed, int g) {
  if (g < 4) return {static_cast<float>(packed[g] & 63), static_cast<float>(packed[g + 4] & 63)};
  return {static_cast<float>((packed[g + 4] & 15) | packed[g - 4] >> 6 << 4),
          static_cast<float>(packed[g + 4] >> 4 | packed[g] >> 6 << 4)};
}

/// 2 bytes scale (f16), 2 bytes scale of the minima (f16), 12 bytes of group scales and minima, 128 bytes of nibbles;
/// groups of 32; x = scale * s * q - minimum_scale * m. Every 32 nibble bytes hold one group in their low and the next
/// group in their high halves.
struct Q4_K {
  static constexpr int kElements = 256, kBytes = 144;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block), minimum_scale = half_at(block + 2);
    const Byte *packed = block + 4, *nibbles = block + 16;
    for (int g = 0; g < 8; ++g) {
      const auto [s, m] = group_scale(packed, g);
      const float group = scale * s, minimum = minimum_scale * m;
      for (int j = 0; j < 32; ++j) {
        const int q = nibbles[g / 2 * 32 + j] >> (g % 2 * 4) & 15;
        out[g * 32 + j] = group * static_cast<float>(q) - minimum;
      }
    }
  }
};

/// As Q4_K, with 32 bytes between the group scales and the nibbles: bit g of byte j is the fifth bit of element j of
/// group g.
struct Q5_K {
  static constexpr int kElements = 256, kBytes = 176;
  static void decode(const Byte* block, float* out) {
    const float scale = half_at(block), minimum_scale = half_at(block + 2);
    const Byte *packed = block + 4, *fifths = block + 16, *nibbles = block + 48;
    for (int g = 0; g < 8; ++g) {
      const auto [s, m] = group_scale(packed, g);
      const float group = scale * s, minimum = minimum_scale * m;
      for (int j = 0; j < 32; ++j) {
        const int q = (nibbles[g / 2 * 32 + j] >> (g % 2 * 4) & 15) | (fifths[j] >> g & 1) << 4;
        out[g * 32 + j] = group * static_cast<float>(q) - minimum;
      }
    }
  }
};

/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed bytes of group scales, 2 bytes scale (f16); groups
/// of 16; x = scale * s * (q - 32). Each half of 128 elements owns 64 nibble bytes (elements 0 to 63 of the half in the
/// low, 64 to 127 in the high halves) and 32 bytes of bit pairs, laid out like the values of Q2_K.
struct Q6_K {
  static constexpr int kElements = 256, kBytes = 210;
  static void decode(const Byte* block, float* out) {
    const Byte *nibbles = block, *pairs = block + 128, *scales = block + 192;
    const float scale = half_at(block + 208);
    for (int g = 0; g < 16; ++g) {
      const auto [half, quarter, first] = place_of(g);
      const float group = scale * static_cast<float>(static_cast<std::int8_t>(scales[g]));
      for (int j = 0; j < 16; ++j) {
        const int low = nibbles[half * 64 + quarter % 2 * 32 + first + j] >> (quarter / 2 * 4) & 15;
        const int high = pairs[half * 32 + first + j] >> (2 * quarter) & 3;
        out[g * 16 + j] = group * static_cast<float>((low | high << 4) - 32);
      }
    }
  }
};

template <class Format>
void decode_blocks(const std::byte* blocks, std::int64_t count, float* out) {
  const auto* block = reinterpret_cast<const Byte*>(blocks);
  for (std::int64_t i = 0; i < count; ++i) Format::decode(block + i * Format::kBytes, out + i * Format::kElements);
}

template <class Format>
constexpr TensorType type_of(std::string_view name) {
  return {name, Format::kElements, Format::kBytes, &decode_blocks<Format>};
}

constexpr std::array kQuants{
    type_of<Q4_0>("Q4_0"), type_of<Q4_1>("Q4_1"), type_of<Q5_0>("Q5_0"), type_of<Q5_1>("Q5_1"), type_of<Q8_0>("Q8_0"),
    type_of<Q2_K>("Q2_K"), type_of<Q3_K>("Q3_K"), type_of<Q4_K>("Q4_K"), type_of<Q5_K>("Q5_K"), type_of<Q6_K>("Q6_K"),
};

}  // namespace

std::span<const TensorType> gguf_quants() { return kQuants; }

}  // namespace whence::transformer
