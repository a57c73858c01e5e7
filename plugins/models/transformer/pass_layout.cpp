#include "pass_layout.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <stdexcept>

#include "whence/error.h"

namespace whence::transformer {
namespace {

const std::int64_t* longs(const Tensor& tensor, std::int64_t count, const char* what) {
  if (!tensor.defined() || tensor.scalar_type() != at::kLong || tensor.numel() != count || !tensor.is_contiguous())
    throw std::invalid_argument(std::string("expected ") + what + " of int64, one for each text");
  return tensor.const_data_ptr<std::int64_t>();
}

}  // namespace

std::vector<ReadRow> read_rows(const Tensor& positions, const std::vector<std::int64_t>& lengths) {
  const Tensor packed = positions.to(at::kLong).contiguous();
  const std::int64_t steps = packed.size(1);
  std::vector<ReadRow> result;
  for (std::int64_t i = 0; i < packed.numel(); ++i) {
    const std::int64_t b = i / steps, position = packed.const_data_ptr<std::int64_t>()[i];
    if (position == -1) continue;
    if (position < 0 || position >= lengths[static_cast<std::size_t>(b)])
      throw InputError("sequence " + std::to_string(b) + ": position " + std::to_string(position) +
                       " is outside the text; expected 0 to " +
                       std::to_string(lengths[static_cast<std::size_t>(b)] - 1));
    result.push_back({b, i % steps, position, 0});
  }
  return result;
}

std::vector<std::int64_t> needed_ends(const std::vector<ReadRow>& read, const std::vector<std::int64_t>& lengths,
                                      bool all) {
  if (all) return lengths;
  std::vector<std::int64_t> ends(lengths.size(), 0);
  for (const ReadRow& row : read) {
    std::int64_t& end = ends[static_cast<std::size_t>(row.text)];
    end = std::max(end, row.position + 1);
  }
  return ends;
}

RowLayout whole_texts(const std::vector<std::int64_t>& ends) {
  RowLayout layout;
  for (std::int64_t b = 0; b < std::ssize(ends); ++b) layout.add({b, 0, 0, ends[static_cast<std::size_t>(b)]});
  return layout;
}

RowLayout changed_parts(const SharedPrefix& shared, const std::vector<std::int64_t>& base_lengths,
                        const KeyValues& kept, const std::vector<Rotary>& rotary,
                        const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& ends) {
  const std::int64_t batch = std::ssize(lengths);
  const std::int64_t* texts = longs(shared.sequences, batch, "sequences of the base");
  const std::int64_t* starts = longs(shared.first_changed, batch, "first changed rows");
  RowLayout layout;
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto own = static_cast<std::size_t>(b);
    if (texts[b] < 0 || texts[b] >= std::ssize(base_lengths))
      throw std::invalid_argument("a text shares its beginning with a text that the base does not have");
    const auto other = static_cast<std::size_t>(texts[b]);
    if (starts[b] < 0 || starts[b] >= std::min(lengths[own], base_lengths[other]))
      throw std::invalid_argument("the first changed row of a text lies outside of it or of the base");
    const auto same = [&](const Rotary& one) { return one.same_frequencies(lengths[own], base_lengths[other]); };
    if (starts[b] > 0 && !std::all_of(rotary.begin(), rotary.end(), same))
      throw std::invalid_argument("a text turns with other frequencies than the text it shares its beginning with");
    layout.add({b, 0, starts[b], std::max<std::int64_t>(0, ends[own] - starts[b]), &kept, texts[b]});
  }
  return layout;
}

RowLayout behind_sources(const RowLayout& target, const KeyValues& key_values,
                         const std::vector<std::int64_t>& sources) {
  RowLayout layout;
  for (const Segment& segment : target.segments) {
    const std::int64_t source = sources[static_cast<std::size_t>(segment.text)];
    layout.add(
        {segment.text, 0, key_values.length[static_cast<std::size_t>(source)], segment.count, &key_values, source});
  }
  return layout;
}

void pass_over(const Tensor& unseen, RowLayout& layout) {
  if (!unseen.defined()) return;
  for (Segment& segment : layout.segments) {
    const Tensor own = unseen.select(0, segment.text);
    if (own.any().item<bool>()) segment.unseen = own.contiguous();
  }
}

std::vector<std::int64_t> shared_sources(const SharedPrefix& shared, const KeyValues& kept,
                                         const std::vector<std::int64_t>& lengths) {
  const std::int64_t* texts = longs(shared.sequences, std::ssize(lengths), "sequences of the base");
  const std::vector<std::int64_t> sources(texts, texts + lengths.size());
  for (std::size_t b = 0; b < lengths.size(); ++b)
    if (kept.length[static_cast<std::size_t>(sources[b])] != lengths[b])
      throw std::invalid_argument("a text has another source than the text it shares its beginning with");
  return sources;
}

void place(std::vector<ReadRow>& read, const RowLayout& layout) {
  for (ReadRow& row : read) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(row.text)];
    if (row.position < segment.start)
      throw std::invalid_argument("a position before the first changed row was asked for");
    row.row = segment.row + row.position - segment.start;
  }
}

Tensor padded(const Tensor& rows, const RowLayout& layout, std::int64_t longest) {
  Tensor result = at::zeros({std::ssize(layout.segments), longest, rows.size(1)}, rows.options());
  for (const Segment& segment : layout.segments)
    if (segment.count > 0)
      result.select(0, segment.text)
          .narrow(0, segment.start, segment.count)
          .copy_(rows.narrow(0, segment.row, segment.count));
  return result;
}

Tensor packed(const Tensor& all, const RowLayout& layout) {
  std::vector<Tensor> parts;
  for (const Segment& segment : layout.segments)
    parts.push_back(all.select(0, segment.text).narrow(0, segment.start, segment.count));
  return at::cat(parts);
}

Tensor unpacked(const PackedCotangents& packed, const Tensor& rows, std::int64_t width, const RowLayout& layout,
                std::int64_t longest, std::int64_t steps, bool first_changed_only) {
  Tensor result = at::zeros({std::ssize(layout.segments), first_changed_only ? 1 : longest, steps, width});
  for (const CotangentSteps& text : packed.texts) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(text.segment)];
    const std::int64_t positions = first_changed_only ? 1 : std::ssize(text.offset);
    for (std::int64_t i = 0; i < positions; ++i)
      for (std::int64_t k = text.active[static_cast<std::size_t>(i)]; k < std::ssize(text.step); ++k) {
        const std::int64_t position = first_changed_only ? 0 : segment.start + i;
        std::copy_n(
            rows.const_data_ptr<float>() + text.row(i, k) * width, width,
            result.mutable_data_ptr<float>() +
                ((segment.text * result.size(1) + position) * steps + text.step[static_cast<std::size_t>(k)]) * width);
      }
  }
  return result;
}

}  // namespace whence::transformer
