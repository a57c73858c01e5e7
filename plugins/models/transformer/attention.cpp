#include "attention.h"

#include <cmath>

#include "parallel.h"
#include "tile_products.h"

namespace whence::transformer {
namespace {

/// Steps whose cotangents share the weights of a tile of queries.
constexpr std::int64_t kStepsTogether = 4;

std::int64_t panels_of(std::int64_t count) { return (count + kPanelWidth - 1) / kPanelWidth; }

/// Rows of one head as a right factor: `count` rows in panels over the channels, [panels][count][kPanelWidth].
template <class T>
class RowPanels {
 public:
  RowPanels(std::int64_t count, std::int64_t head_size)
      : count_(count), head_size_(head_size), numbers_(panels_of(head_size) * count * kPanelWidth, T(0)) {}

  void set(std::int64_t index, const T* row) {
    for (std::int64_t p = 0; p < panels_of(head_size_); ++p)
      std::copy_n(row + p * kPanelWidth, std::min(kPanelWidth, head_size_ - p * kPanelWidth), at(p, index));
  }
  /// The rows from `index` on of one panel.
  T* at(std::int64_t panel, std::int64_t index) { return numbers_.data() + (panel * count_ + index) * kPanelWidth; }
  const T* at(std::int64_t panel, std::int64_t index) const {
    return numbers_.data() + (panel * count_ + index) * kPanelWidth;
  }
  std::int64_t panels() const { return panels_of(head_size_); }
  /// Channels that are padded to whole panels.
  std::int64_t padded() const { return panels() * kPanelWidth; }

 private:
  std::int64_t count_, head_size_;
  std::vector<T> numbers_;
};

/// The transpose of rows of one head as a right factor: panels over the rows, [panels][head_size][kPanelWidth].
template <class T>
class ColumnPanels {
 public:
  ColumnPanels(std::int64_t count, std::int64_t head_size)
      : head_size_(head_size), numbers_(panels_of(count) * head_size * kPanelWidth, T(0)) {}

  void set(std::int64_t index, const T* row) {
    T* to = numbers_.data() + index / kPanelWidth * head_size_ * kPanelWidth + index % kPanelWidth;
    for (std::int64_t e = 0; e < head_size_; ++e) to[e * kPanelWidth] = row[e];
  }
  const T* panel(std::int64_t index) const { return numbers_.data() + index * head_size_ * kPanelWidth; }

 private:
  std::int64_t head_size_;
  std::vector<T> numbers_;
};

/// Positions that a tile of queries sees, in whole panels.
struct KeyRange {
  std::int64_t first_panel, end_panel;  ///< panels of keys
  std::int64_t begin, count;            ///< positions: begin = first_panel * kPanelWidth, cut at the last one

  KeyRange(const AttentionShape& shape, const Segment& segment, std::int64_t first_query, std::int64_t last_query)
      : first_panel(shape.first_seen(first_query) / kPanelWidth),
        end_panel(panels_of(shape.end_seen(segment, last_query))),
        begin(first_panel * kPanelWidth),
        count(shape.end_seen(segment, last_query) - begin) {}

  std::int64_t width() const { return (end_panel - first_panel) * kPanelWidth; }
};

/// Scores become softmax weights of those that are not marked, and 0 for the others.
template <class T>
void softmax_of_seen(const bool* unseen, std::int64_t count, T* row) {
  std::vector<T> seen;
  for (std::int64_t j = 0; j < count; ++j)
    if (!unseen[j]) seen.push_back(row[j]);
  if (!seen.empty()) kernels<T>().softmax(seen.data(), T(1), std::ssize(seen));
  const T* next = seen.data();
  for (std::int64_t j = 0; j < count; ++j) row[j] = unseen[j] ? T(0) : *next++;
}

/// Products of a query with `count` keys of a segment from `first_key` on become softmax weights. `slopes`, unless
/// null, takes the derivative of each score for its product over `shape.scale`, where a soft cap makes that another
/// number than 1.
template <class T>
void softmax_of_scores(const AttentionShape& shape, const ScoreBias<T>* bias, const Segment& segment, std::int64_t head,
                       std::int64_t query, std::int64_t first_key, std::int64_t count, T* row, T* slopes) {
  const bool some_unseen = segment.unseen.defined();
  if (shape.softcap == 0 && !bias && !some_unseen) return kernels<T>().softmax(row, static_cast<T>(shape.scale), count);
  kernels<T>().scale(row, static_cast<T>(shape.scale), count, row);
  if (shape.softcap > 0) {
    const auto cap = static_cast<T>(shape.softcap);
    for (std::int64_t j = 0; j < count; ++j) {
      const T share = std::tanh(row[j] / cap);
      row[j] = cap * share;
      if (slopes) slopes[j] = 1 - share * share;
    }
  }
  if (bias) bias->add(head, query, first_key, count, row);
  if (some_unseen) return softmax_of_seen(segment.unseen.const_data_ptr<bool>() + first_key, count, row);
  kernels<T>().softmax(row, T(1), count);
}

/// Softmax weights of `count` queries, rows of `width()` numbers that are zero where a query does not see. `slopes`, as
/// `softmax_of_scores` takes it, has rows alike.
template <class T>
void weights_of_tile(const AttentionShape& shape, const ScoreBias<T>* bias, const Segment& segment,
                     const ColumnPanels<T>& keys, const T* queries, std::int64_t head, std::int64_t first_query,
                     std::int64_t count, const KeyRange& range, T* weights, T* slopes = nullptr) {
  const std::int64_t width = range.width();
  for (std::int64_t p = range.first_panel; p < range.end_panel; ++p)
    kernels<T>().product(queries, shape.width(), 1, count, keys.panel(p), shape.head_size,
                         weights + (p - range.first_panel) * kPanelWidth, width, false);
  for (std::int64_t i = 0; i < count; ++i) {
    T* row = weights + i * width;
    const std::int64_t seen = shape.first_seen(first_query + i), first = seen - range.begin;
    const std::int64_t end = shape.end_seen(segment, first_query + i) - range.begin;
    std::fill(row, row + first, T(0));
    std::fill(row + end, row + width, T(0));
    softmax_of_scores(shape, bias, segment, head, first_query + i, seen, end - first, row + first,
                      slopes ? slopes + i * width + first : nullptr);
  }
}

/// out [rows, channels] (+)= left * panels; `left` [rows, range.count], as `product` takes it.
template <class T>
void multiply_rows(const T* left, std::int64_t row_stride, std::int64_t depth_stride, std::int64_t rows,
                   const RowPanels<T>& right, std::int64_t first, std::int64_t depth, T* out, std::int64_t out_stride,
                   bool add) {
  for (std::int64_t p = 0; p < right.panels(); ++p)
    kernels<T>().product(left, row_stride, depth_stride, rows, right.at(p, first), depth, out + p * kPanelWidth,
                         out_stride, add);
}

}  // namespace

template <class T>
KeyValueRows<T>::KeyValueRows(const AttentionShape& shape, const Segment& segment, std::size_t layer, const T* rows,
                              std::int64_t key_value_head)
    : start_(segment.start), own_stride_(shape.width()) {
  const std::int64_t channel = key_value_head * shape.head_size;
  own_key_ = rows + segment.row * own_stride_ + shape.queries() + channel;
  own_value_ = own_key_ + shape.keys();
  if (segment.start == 0) return;
  const KeyValues& prefix = *segment.prefix;
  prefix_stride_ = prefix.layers[layer].size(1);
  const T* first = prefix.layers[layer].template const_data_ptr<T>() +
                   prefix.first_row[static_cast<std::size_t>(segment.prefix_text)] * prefix_stride_ + channel;
  prefix_key_ = first + prefix.key_column;
  prefix_value_ = first + prefix.value_column;
}

template <class T>
void attend(const AttentionShape& shape, const ScoreBias<T>* bias, const RowLayout& layout, std::size_t layer,
            const Tensor& rows, Tensor& mixed, Tensor* weights, const DropoutMasks* dropout) {
  const T* in = rows.const_data_ptr<T>();
  T* out = mixed.mutable_data_ptr<T>();
  const std::int64_t sharing = shape.heads / shape.key_value_heads, head = shape.head_size;
  const bool behind = shape.sight == Sight::prefix;
  const DropoutSite site = behind ? DropoutSite::cross_attention : DropoutSite::attention;
  const bool drops = dropout && dropout->drops(site);
  run_tasks(std::ssize(layout.segments) * shape.key_value_heads, [&](std::int64_t task, std::int64_t) {
    const Segment& segment = layout.segments[static_cast<std::size_t>(task / shape.key_value_heads)];
    if (segment.count == 0) return;
    const std::int64_t group = task % shape.key_value_heads, seen = shape.end(segment);
    const KeyValueRows<T> source(shape, segment, layer, in, group);
    ColumnPanels<T> keys(seen, head);
    RowPanels<T> values(seen, head);
    for (std::int64_t j = 0; j < seen; ++j) {
      keys.set(j, source.key(j));
      values.set(j, source.value(j));
    }
    std::vector<T> tile(kRowsPerTile * panels_of(seen) * kPanelWidth);
    std::vector<T> block(kRowsPerTile * values.padded());
    for (std::int64_t first = segment.start; first < segment.end(); first += kRowsPerTile) {
      const std::int64_t count = std::min(kRowsPerTile, segment.end() - first);
      const KeyRange range(shape, segment, first, first + count - 1);
      const std::int64_t row = segment.row + first - segment.start;
      for (std::int64_t h = group * sharing; h < (group + 1) * sharing; ++h) {
        weights_of_tile(shape, bias, segment, keys, in + row * shape.width() + h * head, h, first, count, range,
                        tile.data());
        // Rows of a pass over a prefix count from the segment's start.
        const std::int64_t first_query = first - (behind ? segment.start : 0);
        for (std::int64_t i = 0; drops && i < count; ++i) {
          T* seen_weights = tile.data() + i * range.width();
          const auto kept =
              dropout->factors<T>(site, layer, segment.text, first_query + i, range.begin + range.count, h);
          kernels<T>().multiply(seen_weights, kept.data() + range.begin, range.count, seen_weights);
        }
        multiply_rows(tile.data(), range.width(), 1, count, values, range.begin, range.count, block.data(),
                      values.padded(), false);
        for (std::int64_t i = 0; i < count; ++i) {
          std::copy_n(block.data() + i * values.padded(), head, out + (row + i) * shape.queries() + h * head);
          if (!weights) continue;
          std::copy_n(tile.data() + i * range.width(), range.count,
                      weights->mutable_data_ptr<T>() +
                          ((segment.text * shape.heads + h) * weights->size(2) + first_query + i) * weights->size(3) +
                          range.begin);
        }
      }
    }
  });
}

template <class T>
std::vector<T> attention_weights(const AttentionShape& shape, const ScoreBias<T>* bias, const RowLayout& layout,
                                 std::size_t layer, const Tensor& rows, std::int64_t row, std::int64_t head) {
  const Segment& segment = layout.segments[static_cast<std::size_t>(layout.segment[static_cast<std::size_t>(row)])];
  const T* in = rows.const_data_ptr<T>();
  const T* query = in + row * shape.width() + head * shape.head_size;
  const KeyValueRows<T> source(shape, segment, layer, in, head / (shape.heads / shape.key_value_heads));
  const std::int64_t position = layout.position[static_cast<std::size_t>(row)];
  const std::int64_t first = shape.first_seen(position), end = shape.end_seen(segment, position);
  std::vector<T> result(static_cast<std::size_t>(end), T(0));
  for (std::int64_t j = first; j < end; ++j) result[j] = kernels<T>().dot(query, source.key(j), shape.head_size);
  softmax_of_scores<T>(shape, bias, segment, head, position, first, end - first, result.data() + first, nullptr);
  return result;
}

namespace {

/// The backward of one group of key and value heads, for a few steps of one text.
template <class T>
class GroupPullBack {
 public:
  GroupPullBack(const AttentionShape& shape, const ScoreBias<T>* bias, const AttentionRules& rules,
                const Segment& segment, std::size_t layer, const T* rows, std::int64_t group)
      : shape_(shape),
        bias_(bias),
        rules_(rules),
        segment_(segment),
        seen_(shape.end(segment)),
        in_(rows),
        group_(group),
        source_(shape, segment, layer, rows, group),
        key_columns_(seen_, shape.head_size),
        value_columns_(seen_, shape.head_size),
        key_rows_(seen_, shape.head_size) {
    for (std::int64_t j = 0; j < seen_; ++j) {
      key_columns_.set(j, source_.key(j));
      value_columns_.set(j, source_.value(j));
      key_rows_.set(j, source_.key(j));
    }
  }

  /// Steps [first, end) of `text`; `mixed_row(k, position)` is the row of `mixed` and `result_row` that of `result`.
  /// `prefix`, when not null, takes the cotangents of keys and values: rows by position, then by step.
  template <class MixedRow>
  void run(const CotangentSteps& text, std::int64_t first, std::int64_t end, bool read_only, const T* mixed,
           const MixedRow& mixed_row, T* result, T* prefix) {
    const std::int64_t head = shape_.head_size, padded = key_rows_.padded(), length = seen_;
    const std::int64_t sharing = shape_.heads / shape_.key_value_heads;
    std::vector<T> key_sums((end - first) * length * padded, T(0)), value_sums(key_sums.size(), T(0));
    std::vector<T> weights(kRowsPerTile * panels_of(length) * kPanelWidth), scores(weights.size());
    std::vector<T> slopes(shape_.softcap > 0 ? weights.size() : 0);
    std::vector<T> tempered(rules_.softmax_temperature != 1 ? weights.size() : 0);
    std::vector<T> outer(kRowsPerTile * padded), turned(kRowsPerTile * padded);
    RowPanels<T> queries(kRowsPerTile, head), outer_panels(kRowsPerTile, head);
    const T factor = static_cast<T>(rules_.product_factor);
    const std::int64_t last = text.position[static_cast<std::size_t>(end - 1)];
    for (std::int64_t tile = segment_.start; tile <= last; tile += kRowsPerTile) {
      const std::int64_t tile_end = std::min(tile + kRowsPerTile, last + 1);
      bool needed = !read_only;
      for (std::int64_t k = first; k < end; ++k) {
        const std::int64_t position = text.position[static_cast<std::size_t>(k)];
        needed = needed || (position >= tile && position < tile_end);
      }
      if (!needed) continue;
      const KeyRange range(shape_, segment_, tile, tile_end - 1);
      for (std::int64_t h = group_ * sharing; h < (group_ + 1) * sharing; ++h) {
        const T* query = in_ + (segment_.row + tile - segment_.start) * shape_.width() + h * head;
        weights_of_tile(shape_, bias_, segment_, key_columns_, query, h, tile, tile_end - tile, range, weights.data(),
                        slopes.empty() ? nullptr : slopes.data());
        if (!tempered.empty()) temper(weights.data(), tile_end - tile, range.width(), tempered.data());
        for (std::int64_t i = 0; i < tile_end - tile; ++i) queries.set(i, query + i * shape_.width());
        for (std::int64_t k = first; k < end; ++k) {
          const std::int64_t position = text.position[static_cast<std::size_t>(k)];
          const std::int64_t from = read_only ? std::max(tile, position) : tile;
          const std::int64_t count = std::min(tile_end, position + 1) - from;
          if (count <= 0) continue;
          const std::int64_t skipped = from - tile;
          for (std::int64_t i = 0; i < count; ++i) {
            T* row = outer.data() + i * padded;
            kernels<T>().scale(mixed + mixed_row(k, from + i) * shape_.queries() + h * head, factor, head, row);
            std::fill(row + head, row + padded, T(0));
            outer_panels.set(i, row);
          }
          const std::int64_t width = range.width();
          const T* tile_weights = weights.data() + skipped * width;
          // d value_j += sum_i p_ij d mixed_i
          T* sums = value_sums.data() + ((k - first) * length + range.begin) * padded;
          multiply_rows(tile_weights, 1, width, range.count, outer_panels, 0, count, sums, padded, true);
          if (rules_.frozen_softmax) continue;
          for (std::int64_t p = range.first_panel; p < range.end_panel; ++p)
            kernels<T>().product(outer.data(), padded, 1, count, value_columns_.panel(p), head,
                                 scores.data() + (p - range.first_panel) * kPanelWidth, width, false);
          const T* soft = tempered.empty() ? tile_weights : tempered.data() + skipped * width;
          for (std::int64_t i = 0; i < count; ++i) {
            T* row = scores.data() + i * width;
            kernels<T>().softmax_pull_back(soft + i * width, row, factor * static_cast<T>(shape_.scale), width, row);
            if (!slopes.empty()) kernels<T>().multiply(row, slopes.data() + (skipped + i) * width, width, row);
          }
          // d key_j += sum_i d score_ij q_i, and d q_i = sum_j d score_ij k_j
          multiply_rows(scores.data(), 1, width, range.count, queries, skipped, count,
                        key_sums.data() + ((k - first) * length + range.begin) * padded, padded, true);
          multiply_rows(scores.data(), width, 1, count, key_rows_, range.begin, range.count, turned.data(), padded,
                        false);
          for (std::int64_t i = 0; i < count; ++i)
            std::copy_n(turned.data() + i * padded, head,
                        result + text.row(from + i - segment_.start, k) * shape_.width() + h * head);
        }
      }
    }
    for (std::int64_t k = first; k < end; ++k) {
      const auto put = [&](std::int64_t j, T* to) {
        const std::int64_t at = ((k - first) * length + j) * padded;
        std::copy_n(key_sums.data() + at, head, to);
        std::copy_n(value_sums.data() + at, head, to + shape_.keys());
      };
      if (prefix) {
        for (std::int64_t j = 0; j < length; ++j)
          put(j, prefix + (j * std::ssize(text.step) + k) * 2 * shape_.keys() + group_ * head);
      } else if (shape_.sight != Sight::prefix) {
        for (std::int64_t j = segment_.start; j <= text.position[static_cast<std::size_t>(k)]; ++j)
          put(j, result + text.row(j - segment_.start, k) * shape_.width() + shape_.queries() + group_ * head);
      }
    }
  }

 private:
  /// softmax(scores / temperature) of `rows` rows of weights softmax(scores): their power, divided by its sum.
  void temper(const T* weights, std::int64_t rows, std::int64_t width, T* tempered) const {
    const T power = static_cast<T>(1 / rules_.softmax_temperature);
    for (std::int64_t i = 0; i < rows; ++i) {
      T* row = tempered + i * width;
      T sum = 0;
      for (std::int64_t j = 0; j < width; ++j) sum += row[j] = std::pow(weights[i * width + j], power);
      kernels<T>().scale(row, 1 / sum, width, row);
    }
  }

  const AttentionShape& shape_;
  const ScoreBias<T>* bias_;
  const AttentionRules& rules_;
  const Segment& segment_;
  std::int64_t seen_;
  const T* in_;
  std::int64_t group_;
  KeyValueRows<T> source_;
  ColumnPanels<T> key_columns_, value_columns_;
  RowPanels<T> key_rows_;
};

}  // namespace

template <class T>
void attention_pull_back(const AttentionShape& shape, const ScoreBias<T>* bias, const AttentionRules& rules,
                         const RowLayout& layout, std::size_t layer, const Tensor& rows,
                         const std::vector<CotangentSteps>& texts, bool read_only, const Tensor& mixed, Tensor& result,
                         PrefixCotangents* prefix) {
  const T* in = rows.const_data_ptr<T>();
  const T* cotangents = mixed.const_data_ptr<T>();
  T* out = result.mutable_data_ptr<T>();
  // With frozen weights nothing reaches the queries; of a step that is read in one row, nothing reaches the others.
  if (read_only || rules.frozen_softmax) result.zero_();
  struct Task {
    std::size_t text;
    std::int64_t group, first, end, first_step;
  };
  std::vector<Task> tasks;
  std::int64_t steps_before = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto steps = std::ssize(texts[i].step);
    for (std::int64_t first = 0; first < steps; first += kStepsTogether)
      for (std::int64_t group = 0; group < shape.key_value_heads; ++group)
        tasks.push_back({i, group, first, std::min(first + kStepsTogether, steps), steps_before});
    steps_before += steps;
  }
  run_tasks(std::ssize(tasks), [&](std::int64_t index, std::int64_t) {
    const Task& task = tasks[static_cast<std::size_t>(index)];
    const CotangentSteps& text = texts[task.text];
    const Segment& segment = layout.segments[static_cast<std::size_t>(text.segment)];
    const auto mixed_row = [&](std::int64_t k, std::int64_t position) {
      return read_only ? task.first_step + k : text.row(position - segment.start, k);
    };
    T* of_prefix =
        prefix ? prefix->rows.mutable_data_ptr<T>() + prefix->first_row[task.text] * prefix->rows.size(1) : nullptr;
    GroupPullBack<T>(shape, bias, rules, segment, layer, in, task.group)
        .run(text, task.first, task.end, read_only, cotangents, mixed_row, out, of_prefix);
  });
}

#define WHENCE_ATTENTION(T)                                                                                            \
  template class KeyValueRows<T>;                                                                                      \
  template void attend<T>(const AttentionShape&, const ScoreBias<T>*, const RowLayout&, std::size_t, const Tensor&,    \
                          Tensor&, Tensor*, const DropoutMasks*);                                                      \
  template std::vector<T> attention_weights(const AttentionShape&, const ScoreBias<T>*, const RowLayout&, std::size_t, \
                                            const Tensor&, std::int64_t, std::int64_t);                                \
  template void attention_pull_back<T>(                                                                                \
      const AttentionShape&, const ScoreBias<T>*, const AttentionRules&, const RowLayout&, std::size_t, const Tensor&, \
      const std::vector<CotangentSteps>&, bool, const Tensor&, Tensor&, PrefixCotangents*);
WHENCE_ATTENTION(float)
WHENCE_ATTENTION(double)
#undef WHENCE_ATTENTION

}  // namespace whence::transformer
