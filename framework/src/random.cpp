#include "whence/random.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/special_ndtri.h>

#include <array>
#include <random>
#include <stdexcept>
#include <vector>

namespace whence {
namespace {

std::uint64_t joined(std::uint32_t low, std::uint32_t high) { return low | std::uint64_t{high} << 32; }

/// The seed sequence of the C++ standard is the same in every library.
at::Philox4_32 engine(const RandomKey& key) {
  std::vector<std::uint32_t> words;
  const auto add = [&](std::uint64_t number) {
    words.push_back(static_cast<std::uint32_t>(number));
    words.push_back(static_cast<std::uint32_t>(number >> 32));
  };
  add(key.seed);
  add(key.sample);
  for (const std::string_view text : {key.sequence, key.purpose}) {
    add(text.size());
    for (const char byte : text) words.push_back(static_cast<unsigned char>(byte));
  }
  std::seed_seq mix(words.begin(), words.end());
  std::array<std::uint32_t, 4> mixed{};
  mix.generate(mixed.begin(), mixed.end());
  return at::Philox4_32(joined(mixed[0], mixed[1]), joined(mixed[2], mixed[3]));
}

}  // namespace

RandomStream::RandomStream(const RandomKey& key) : engine_(engine(key)) {}

Tensor RandomStream::uniform(at::IntArrayRef shape) {
  Tensor numbers = at::empty(shape, at::kDouble);
  double* number = numbers.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) {
    const std::uint32_t low = engine_(), high = engine_();
    number[i] = (static_cast<double>(joined(low, high) >> 12) + 0.5) * 0x1p-52;
  }
  return numbers;
}

Tensor RandomStream::normal(at::IntArrayRef shape) { return at::special_ndtri(uniform(shape)); }

Tensor RandomStream::choice(std::int64_t population, std::int64_t count) {
  if (population < 1) throw std::invalid_argument("there is nothing to choose from");
  return (uniform({count}) * static_cast<double>(population)).to(at::kLong).clamp_max(population - 1);
}

Tensor RandomStream::permutation(std::int64_t count) { return at::argsort(uniform({count})); }

}  // namespace whence
