#include "block.h"

#include <algorithm>

namespace whence::transformer {
namespace {

NormTrace norm_trace(const std::optional<Norm>& norm, const Tensor& like, std::int64_t rows, std::int64_t width) {
  if (!norm) return {};
  return {empty_rows(like, rows, width), at::empty({rows}, like.options())};
}

BranchTrace branch_trace(const BranchNorms& norms, const Tensor& like, std::int64_t rows, std::int64_t width) {
  return {norm_trace(norms.before, like, rows, width), norm_trace(norms.input, like, rows, width),
          norm_trace(norms.branch, like, rows, width), norm_trace(norms.after, like, rows, width)};
}

/// Adds what a branch makes of a tile to the stream.
template <class T>
class Addition {
 public:
  /// `stream` is the tile, `made` scratch; rows of the trace, unless it is null, count from `first`.
  /// `factors` [count, hidden] multiply what is made; empty: nothing does.
  Addition(const BranchNorms& norms, double scale, BranchTrace* trace, std::int64_t first, std::int64_t count,
           std::int64_t hidden, T* stream, std::vector<T>& made, std::vector<T> factors)
      : norms_(norms),
        scale_(static_cast<T>(scale)),
        trace_(trace),
        first_(first),
        count_(count),
        hidden_(hidden),
        stream_(stream),
        made_(made),
        factors_(std::move(factors)) {
    if (norms.branch) made.resize(static_cast<std::size_t>(count * hidden));
  }

  void operator()(std::int64_t column, std::int64_t columns, const T* block) const {
    for (std::int64_t r = 0; r < count_; ++r) {
      const T* row = block + r * kPanelWidth;
      T dropped[kPanelWidth];
      if (!factors_.empty()) {
        kernels<T>().multiply(row, factors_.data() + r * hidden_ + column, columns, dropped);
        row = dropped;
      }
      if (norms_.branch)
        std::copy_n(row, columns, made_.data() + r * hidden_ + column);
      else
        kernels<T>().add_scaled(row, scale_, columns, stream_ + r * hidden_ + column);
    }
  }

  /// Once all columns are there.
  void finish() const {
    for (std::int64_t r = 0; r < count_; ++r) {
      T* stream = stream_ + r * hidden_;
      if (norms_.branch) {
        T* row = made_.data() + r * hidden_;
        norm_row(*norms_.branch, row, hidden_, trace_ ? &trace_->branch : nullptr, first_ + r, row);
        kernels<T>().add_scaled(row, scale_, hidden_, stream);
      }
      if (norms_.after) norm_row(*norms_.after, stream, hidden_, trace_ ? &trace_->after : nullptr, first_ + r, stream);
    }
  }

 private:
  const BranchNorms& norms_;
  T scale_;
  BranchTrace* trace_;
  std::int64_t first_, count_, hidden_;
  T* stream_;
  std::vector<T>& made_;
  std::vector<T> factors_;
};

/// put(r, row) takes what a branch reads of each row of a tile of the stream, which is normed itself where it has to
/// be.
template <class T, class Put>
void read_branch(const BranchNorms& norms, BranchTrace* trace, std::int64_t first, std::int64_t count,
                 std::int64_t hidden, T* stream, const Put& put) {
  std::vector<T> normed(static_cast<std::size_t>(hidden));
  for (std::int64_t r = 0; r < count; ++r) {
    T* row = stream + r * hidden;
    if (norms.before) norm_row(*norms.before, row, hidden, trace ? &trace->before : nullptr, first + r, row);
    if (norms.input) norm_row(*norms.input, row, hidden, trace ? &trace->input : nullptr, first + r, normed.data());
    put(r, norms.input ? normed.data() : row);
  }
}

/// Groups of channels that norms over queries and keys run over, as (first channel, size).
std::vector<std::pair<std::int64_t, std::int64_t>> norm_groups(const BlockShape& shape) {
  const AttentionShape& attention = shape.attention;
  if (shape.head_norm == HeadNorm::all) return {{0, attention.queries()}, {attention.queries(), attention.keys()}};
  std::vector<std::pair<std::int64_t, std::int64_t>> result;
  for (std::int64_t h = 0; h < attention.heads + attention.key_value_heads; ++h)
    result.emplace_back(h * attention.head_size, attention.head_size);
  return result;
}

AttentionShape attention_shape(const StackConfig& config, std::size_t layer, Sight sight) {
  const AttentionConfig& c = config.attention;
  AttentionShape shape{c.heads, c.key_value_heads, c.head_size, sight};
  shape.window = sight == Sight::causal ? config.layers[layer].window : 0;
  shape.scale = c.scale_by_layer ? c.scale / static_cast<double>(layer + 1) : c.scale;
  shape.softcap = c.softcap;
  return shape;
}

}  // namespace

BlockShape::BlockShape(const StackConfig& config, std::size_t layer, Sight sight)
    : hidden(config.hidden),
      attention(attention_shape(config, layer, sight)),
      cross(attention_shape(config, layer, Sight::prefix)),
      head_norm(config.attention.norm),
      clamp(config.attention.clamp),
      rotary(config.layers[layer].rotary),
      layout(config.block),
      mlp(config.mlp),
      experts(config.layers[layer].experts ? config.experts : ExpertsConfig{}) {}

template <class T>
RowAngles<T>::RowAngles(const Rotary& rotary, const std::vector<std::int64_t>& lengths, const RowLayout& layout) {
  std::int64_t start = layout.segments.front().start, end = 0;
  for (const Segment& segment : layout.segments) {
    start = std::min(start, segment.start);
    end = std::max(end, segment.end());
  }
  const std::int64_t positions = end - start;
  const RotaryTable table = rotary.table(lengths, start, positions);
  half_ = table.cosine.size(-1);
  const auto flat = [&](const Tensor& x) {
    return x.reshape({-1, half_}).to(c10::CppTypeToScalarType<T>::value).contiguous();
  };
  cosine_ = flat(table.cosine);
  sine_ = flat(table.sine);
  const bool shared = table.cosine.size(0) == 1;
  for (const Segment& segment : layout.segments)
    for (std::int64_t i = 0; i < segment.count; ++i)
      index_.push_back((shared ? 0 : segment.text * positions) + segment.start + i - start);
}

template <class T>
std::vector<T> BlockDropout::of_rows(DropoutSite site, std::int64_t first, std::int64_t count,
                                     std::int64_t width) const {
  if (!masks || !masks->drops(site)) return {};
  std::vector<T> result;
  for (std::int64_t row = first; row < first + count; ++row) {
    const auto at = static_cast<std::size_t>(row);
    const std::int64_t text = layout->segments[static_cast<std::size_t>(layout->segment[at])].text;
    const std::vector<T> own = masks->factors<T>(site, layer, text, layout->position[at], width);
    result.insert(result.end(), own.begin(), own.end());
  }
  return result;
}

template <class T>
struct BlockForward<T>::Workspace {
  FactorRows<T> mixed;
  typename MlpForward<T>::Workspace mlp;
  std::vector<T> made;
};

template <class T>
Tensor BlockForward<T>::heads(Tensor& x, const RowAngles<T>* angles, BlockTrace* trace) const {
  const AttentionShape& attention = shape_.attention;
  const std::int64_t rows = x.size(0), hidden = shape_.hidden, width = attention.width(), head = attention.head_size;
  const std::int64_t turned = attention.queries() + attention.keys();
  const PackedMatrix<T>& matrix = matrices_.query_key_value;
  const auto groups = norm_groups(shape_);
  const bool norms = weights_.attention.query_norm.has_value();
  Tensor result = empty_rows(x, rows, width);
  if (trace) {
    trace->attention = branch_trace(weights_.attention_norms, x, rows, hidden);
    trace->heads = result;
    if (shape_.clamp > 0) trace->unturned = empty_rows(x, rows, width);
    if (norms) {
      trace->head_normed = empty_rows(x, rows, turned);
      trace->head_inverse = empty_rows(x, rows, std::ssize(groups));
    }
  }
  T* stream = data<T>(x);
  T* out = data<T>(result);
  for_tiles<FactorRows<T>>(rows, [&](std::int64_t first, std::int64_t count, FactorRows<T>& tile) {
    if (!tile.defined()) tile = FactorRows<T>(kRowsPerTile, hidden, matrix.precision());
    read_branch(weights_.attention_norms, trace ? &trace->attention : nullptr, first, count, hidden,
                stream + first * hidden, [&](std::int64_t r, const T* row) { tile.put(r, 0, row, nullptr, hidden); });
    project_into(tile, matrix, weights_.attention.query_key_value.bias, count, out + first * width);
    for (std::int64_t row = first; row < first + count; ++row) {
      T* vector = out + row * width;
      if (norms)
        for (std::size_t g = 0; g < groups.size(); ++g) {
          const auto [start, size] = groups[g];
          const bool key = start >= attention.queries();
          const Norm& norm = key ? *weights_.attention.key_norm : *weights_.attention.query_norm;
          T* normed = trace ? data<T>(trace->head_normed) + row * turned + start : vector + start;
          const T inverse = normalise(norm, vector + start, size, normed);
          if (trace) data<T>(trace->head_inverse)[row * std::ssize(groups) + static_cast<std::int64_t>(g)] = inverse;
          apply_gain<T>(norm, normed, key ? start - attention.queries() : start, size, vector + start);
        }
      if (const auto limit = static_cast<T>(shape_.clamp); limit > 0) {
        for (std::int64_t i = 0; i < width; ++i) vector[i] = std::clamp(vector[i], -limit, limit);
        if (trace) std::copy_n(vector, width, data<T>(trace->unturned) + row * width);
      }
      if (!angles) continue;
      for (std::int64_t start = 0; start < turned; start += head)
        kernels<T>().rotate(vector + start, angles->cosine(row), angles->sine(row), angles->half(), vector + start);
    }
  });
  return result;
}

template <class T>
void BlockForward<T>::add_attention(const BranchNorms& norms, const Projection& projection,
                                    const PackedMatrix<T>& matrix, const Tensor& mixed, std::int64_t first,
                                    std::int64_t count, Tensor& x, BranchTrace* trace, DropoutSite site,
                                    Workspace& own) const {
  const std::int64_t hidden = shape_.hidden, width = mixed.size(1);
  if (!own.mixed.defined()) own.mixed = FactorRows<T>(kRowsPerTile, width, matrix.precision());
  put_rows(data<T>(mixed) + first * width, count, width, own.mixed);
  const Addition<T> addition(norms, shape_.layout.branch_scale, trace, first, count, hidden,
                             data<T>(x) + first * hidden, own.made, dropout_.of_rows<T>(site, first, count, hidden));
  project(own.mixed, matrix, projection.bias, count, addition);
  addition.finish();
}

template <class T>
Tensor BlockForward<T>::cross_queries(const Tensor& mixed, Tensor& x, BlockTrace* trace) const {
  const std::int64_t rows = x.size(0), hidden = shape_.hidden, width = shape_.cross.queries();
  Tensor result = empty_rows(x, rows, width);
  if (trace) {
    trace->cross = branch_trace(weights_.cross_norms, x, rows, hidden);
    trace->cross_queries = result;
  }
  struct Tiles {
    Workspace attention;
    FactorRows<T> input;
  };
  T* out = data<T>(result);
  for_tiles<Tiles>(rows, [&](std::int64_t first, std::int64_t count, Tiles& own) {
    add_attention(weights_.attention_norms, weights_.attention.output, matrices_.output, mixed, first, count, x,
                  trace ? &trace->attention : nullptr, DropoutSite::attention_branch, own.attention);
    if (!own.input.defined()) own.input = FactorRows<T>(kRowsPerTile, hidden, matrices_.cross_query.precision());
    read_branch(weights_.cross_norms, trace ? &trace->cross : nullptr, first, count, hidden,
                data<T>(x) + first * hidden,
                [&](std::int64_t r, const T* row) { own.input.put(r, 0, row, nullptr, hidden); });
    project_into(own.input, matrices_.cross_query, weights_.cross->query.bias, count, out + first * width);
  });
  return result;
}

template <class T>
Tensor BlockForward<T>::cross_key_values(const Tensor& states) const {
  const PackedMatrix<T>& matrix = matrices_.cross_key_value;
  const std::int64_t rows = states.size(0), depth = states.size(1), width = matrix.width();
  Tensor result = empty_rows(states, rows, width);
  T* out = data<T>(result);
  for_tiles<FactorRows<T>>(rows, [&](std::int64_t first, std::int64_t count, FactorRows<T>& tile) {
    if (!tile.defined()) tile = FactorRows<T>(kRowsPerTile, depth, matrix.precision());
    put_rows(data<T>(states) + first * depth, count, depth, tile);
    project_into(tile, matrix, weights_.cross->key_value.bias, count, out + first * width);
  });
  return result;
}

template <class T>
void BlockForward<T>::finish(const Tensor& mixed, Tensor& x, BlockTrace* trace) const {
  const std::int64_t rows = x.size(0), hidden = shape_.hidden;
  if (trace) trace->mlp = branch_trace(weights_.mlp_norms, x, rows, hidden);
  const auto attention = [&](std::int64_t first, std::int64_t count, Workspace& own) {
    if (crosses())
      add_attention(weights_.cross_norms, weights_.cross->output, matrices_.cross_output, mixed, first, count, x,
                    trace ? &trace->cross : nullptr, DropoutSite::cross_branch, own);
    else
      add_attention(weights_.attention_norms, weights_.attention.output, matrices_.output, mixed, first, count, x,
                    trace ? &trace->attention : nullptr, DropoutSite::attention_branch, own);
  };
  const auto read = [&](std::int64_t first, std::int64_t count, const auto& put) {
    read_branch(weights_.mlp_norms, trace ? &trace->mlp : nullptr, first, count, hidden, data<T>(x) + first * hidden,
                put);
  };
  const auto branches = [&](std::int64_t first, std::int64_t count, Workspace& own, const auto& put) {
    if (shape_.layout.parallel) read(first, count, put);
    attention(first, count, own);
    if (!shape_.layout.parallel) read(first, count, put);
  };
  const auto addition = [&](std::int64_t first, std::int64_t count, Workspace& own) {
    return Addition<T>(weights_.mlp_norms, shape_.layout.branch_scale, trace ? &trace->mlp : nullptr, first, count,
                       hidden, data<T>(x) + first * hidden, own.made,
                       dropout_.of_rows<T>(DropoutSite::mlp_branch, first, count, hidden));
  };
  if (weights_.mlp) {
    const MlpForward<T> mlp(shape_.mlp, *weights_.mlp, matrices_.mlp);
    if (trace) trace->inner = mlp.trace(x, rows);
    for_tiles<Workspace>(rows, [&](std::int64_t first, std::int64_t count, Workspace& own) {
      mlp.prepare(own.mlp);
      branches(first, count, own, [&](std::int64_t r, const T* row) { own.mlp.input.put(r, 0, row, nullptr, hidden); });
      const Addition<T> add = addition(first, count, own);
      mlp.run(own.mlp, count, first, trace ? &trace->inner : nullptr, add,
              dropout_.of_rows<T>(DropoutSite::inner, first, count, shape_.mlp.inner));
      add.finish();
    });
    return;
  }
  Tensor input = empty_rows(x, rows, hidden);
  for_tiles<Workspace>(rows, [&](std::int64_t first, std::int64_t count, Workspace& own) {
    branches(first, count, own,
             [&](std::int64_t r, const T* row) { std::copy_n(row, hidden, data<T>(input) + (first + r) * hidden); });
  });
  const Tensor made =
      ExpertsForward<T>(shape_.experts, *weights_.experts, matrices_).run(input, trace ? &trace->experts : nullptr);
  for_tiles<Workspace>(rows, [&](std::int64_t first, std::int64_t count, Workspace& own) {
    const Addition<T> add = addition(first, count, own);
    T block[kRowsPerTile * kPanelWidth];
    for (std::int64_t column = 0; column < hidden; column += kPanelWidth) {
      const std::int64_t columns = std::min(kPanelWidth, hidden - column);
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(data<T>(made) + (first + r) * hidden + column, columns, block + r * kPanelWidth);
      add(column, columns, block);
    }
    add.finish();
  });
}

template <class T>
struct BlockPullBack<T>::Workspace {
  FactorRows<T> factors;
  typename MlpPullBack<T>::Workspace mlp;
  std::vector<T> made;  // [count,D] cotangents of what a branch made, or of what it reads
};

template <class T>
BlockPullBack<T>::BlockPullBack(const BlockShape& shape, const BlockWeights& weights,
                                const BackwardMatrices<T>& matrices, const BlockTrace& trace, const BlockRules& rules)
    : shape_(shape), weights_(weights), matrices_(matrices), trace_(trace), rules_(rules) {
  if (weights.mlp)
    mlp_.emplace(shape.mlp, matrices.mlp, trace.inner,
                 MlpRules{rules.gate_factor, rules.reference ? &rules.reference->inner : nullptr});
  else
    experts_.emplace(shape.experts, *weights.experts, matrices, trace.experts, MlpRules{rules.gate_factor});
}

template <class T>
void BlockPullBack<T>::through_addition(const BranchNorms& norms, const BranchTrace& trace, const std::int64_t* rows,
                                        std::int64_t count, T* c, Workspace& own) const {
  const std::int64_t hidden = shape_.hidden;
  own.made.resize(static_cast<std::size_t>(kRowsPerTile * hidden));
  for (std::int64_t r = 0; r < count; ++r) {
    T *row = c + r * hidden, *made = own.made.data() + r * hidden;
    if (norms.after) norm_row_pull_back(*norms.after, trace.after, rows[r], rules_.frozen_norms, row);
    kernels<T>().scale(row, static_cast<T>(shape_.layout.branch_scale), hidden, made);
    if (norms.branch) norm_row_pull_back(*norms.branch, trace.branch, rows[r], rules_.frozen_norms, made);
  }
}

template <class T>
void BlockPullBack<T>::through_input(const BranchNorms& norms, const BranchTrace& trace, const std::int64_t* rows,
                                     std::int64_t count, T* c, Workspace& own) const {
  const std::int64_t hidden = shape_.hidden;
  for (std::int64_t r = 0; r < count; ++r) {
    T *row = c + r * hidden, *made = own.made.data() + r * hidden;
    if (norms.input) norm_row_pull_back(*norms.input, trace.input, rows[r], rules_.frozen_norms, made);
    kernels<T>().add_scaled(made, T(1), hidden, row);
    if (norms.before) norm_row_pull_back(*norms.before, trace.before, rows[r], rules_.frozen_norms, row);
  }
}

template <class T>
void BlockPullBack<T>::project_made(const PackedMatrix<T>& matrix, std::int64_t count, T* out, Workspace& own) const {
  const std::int64_t hidden = shape_.hidden;
  if (!own.factors.defined()) own.factors = FactorRows<T>(kRowsPerTile, hidden, matrix.precision());
  put_rows<T>(own.made.data(), count, hidden, own.factors);
  project_into(own.factors, matrix, {}, count, out);
}

template <class T>
Tensor BlockPullBack<T>::through_mlp(Tensor& c, const std::vector<std::int64_t>& rows) const {
  const bool crosses = weights_.cross.has_value(), parallel = shape_.layout.parallel;
  const std::int64_t hidden = shape_.hidden;
  const std::int64_t queries = crosses ? shape_.cross.queries() : shape_.attention.queries();
  Tensor mixed = empty_rows(c, c.size(0), queries);
  T *cotangents = data<T>(c), *out = data<T>(mixed);
  const auto attention = [&](std::int64_t first, std::int64_t count, Workspace& own) {
    through_addition(crosses ? weights_.cross_norms : weights_.attention_norms,
                     crosses ? trace_.cross : trace_.attention, rows.data() + first, count, cotangents + first * hidden,
                     own);
    project_made(crosses ? matrices_.cross_output : matrices_.output, count, out + first * queries, own);
  };
  // Parallel branches read the same stream: what comes through one does not go through the other.
  const auto enter = [&](std::int64_t first, std::int64_t count, Workspace& own) {
    if (parallel) attention(first, count, own);
    through_addition(weights_.mlp_norms, trace_.mlp, rows.data() + first, count, cotangents + first * hidden, own);
  };
  const auto leave = [&](std::int64_t first, std::int64_t count, Workspace& own) {
    through_input(weights_.mlp_norms, trace_.mlp, rows.data() + first, count, cotangents + first * hidden, own);
    if (!parallel) attention(first, count, own);
  };
  if (mlp_) {
    for_tiles<Workspace>(c.size(0), [&](std::int64_t first, std::int64_t count, Workspace& own) {
      mlp_->prepare(own.mlp);
      enter(first, count, own);
      put_rows<T>(own.made.data(), count, hidden, own.mlp.outer);
      mlp_->run(
          own.mlp, count, [&](std::int64_t r) { return rows[static_cast<std::size_t>(first + r)]; },
          [](std::int64_t, std::int64_t, std::int64_t, const T*) {},
          [&](std::int64_t column, std::int64_t columns, const T* block) {
            for (std::int64_t r = 0; r < count; ++r)
              std::copy_n(block + r * kPanelWidth, columns, own.made.data() + r * hidden + column);
          });
      leave(first, count, own);
    });
    return mixed;
  }
  Tensor of_experts = empty_rows(c, c.size(0), hidden);
  for_tiles<Workspace>(c.size(0), [&](std::int64_t first, std::int64_t count, Workspace& own) {
    enter(first, count, own);
    std::copy_n(own.made.data(), count * hidden, data<T>(of_experts) + first * hidden);
  });
  of_experts = experts_->run(of_experts, rows);
  for_tiles<Workspace>(c.size(0), [&](std::int64_t first, std::int64_t count, Workspace& own) {
    own.made.resize(static_cast<std::size_t>(kRowsPerTile * hidden));
    std::copy_n(data<T>(of_experts) + first * hidden, count * hidden, own.made.data());
    leave(first, count, own);
  });
  return mixed;
}

template <class T>
Tensor BlockPullBack<T>::through_cross(const Tensor& queries, Tensor& c, const std::vector<std::int64_t>& rows) const {
  const std::int64_t hidden = shape_.hidden, width = shape_.cross.queries(), mixed_width = shape_.attention.queries();
  Tensor mixed = empty_rows(c, c.size(0), mixed_width);
  struct Tiles {
    FactorRows<T> queries;
    Workspace attention;
  };
  for_tiles<Tiles>(c.size(0), [&](std::int64_t first, std::int64_t count, Tiles& own) {
    T* tile = data<T>(c) + first * hidden;
    if (!own.queries.defined()) own.queries = FactorRows<T>(kRowsPerTile, width, matrices_.cross_query.precision());
    put_rows(data<T>(queries) + first * width, count, width, own.queries);
    own.attention.made.resize(static_cast<std::size_t>(kRowsPerTile * hidden));
    project_into(own.queries, matrices_.cross_query, {}, count, own.attention.made.data());
    through_input(weights_.cross_norms, trace_.cross, rows.data() + first, count, tile, own.attention);
    through_addition(weights_.attention_norms, trace_.attention, rows.data() + first, count, tile, own.attention);
    project_made(matrices_.output, count, data<T>(mixed) + first * mixed_width, own.attention);
  });
  return mixed;
}

template <class T>
void BlockPullBack<T>::through_key_values(const Tensor& key_values, Tensor& c) const {
  const PackedMatrix<T>& matrix = matrices_.cross_key_value;
  const std::int64_t width = key_values.size(1), depth = c.size(1);
  for_tiles<FactorRows<T>>(c.size(0), [&](std::int64_t first, std::int64_t count, FactorRows<T>& tile) {
    if (!tile.defined()) tile = FactorRows<T>(kRowsPerTile, width, matrix.precision());
    put_rows(data<T>(key_values) + first * width, count, width, tile);
    project(tile, matrix, {}, count, [&](std::int64_t column, std::int64_t columns, const T* block) {
      for (std::int64_t r = 0; r < count; ++r)
        kernels<T>().add_scaled(block + r * kPanelWidth, T(1), columns, data<T>(c) + (first + r) * depth + column);
    });
  });
}

template <class T>
void BlockPullBack<T>::head_row(T* row, std::int64_t traced, const RowAngles<T>* angles) const {
  const AttentionShape& attention = shape_.attention;
  const std::int64_t width = attention.width(), turned = attention.queries() + attention.keys();
  if (angles)
    for (std::int64_t start = 0; start < turned; start += attention.head_size)
      kernels<T>().rotate_back(row + start, angles->cosine(traced), angles->sine(traced), angles->half(), row + start);
  if (const auto limit = static_cast<T>(shape_.clamp); limit > 0) {
    const T* clamped = data<T>(trace_.unturned) + traced * width;
    for (std::int64_t i = 0; i < width; ++i)
      if (std::abs(clamped[i]) >= limit) row[i] = 0;
  }
  if (!weights_.attention.query_norm) return;
  const auto groups = norm_groups(shape_);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto [start, size] = groups[g];
    const bool key = start >= attention.queries();
    norm_pull_back<T>(key ? *weights_.attention.key_norm : *weights_.attention.query_norm,
                      data<T>(trace_.head_normed) + traced * turned + start,
                      data<T>(trace_.head_inverse)[traced * std::ssize(groups) + static_cast<std::int64_t>(g)],
                      rules_.frozen_norms, key ? start - attention.queries() : start, size, row + start);
  }
}

template <class T>
void BlockPullBack<T>::through_heads(Tensor& heads, Tensor& c, const std::vector<std::int64_t>& rows,
                                     const RowAngles<T>* angles) const {
  const std::int64_t hidden = shape_.hidden, width = shape_.attention.width();
  T *in = data<T>(heads), *cotangents = data<T>(c);
  const PackedMatrix<T>& matrix = matrices_.query_key_value;
  struct Tiles {
    FactorRows<T> heads;
    Workspace input;
  };
  for_tiles<Tiles>(c.size(0), [&](std::int64_t first, std::int64_t count, Tiles& own) {
    if (!own.heads.defined()) own.heads = FactorRows<T>(kRowsPerTile, width, matrix.precision());
    own.input.made.resize(static_cast<std::size_t>(kRowsPerTile * hidden));
    for (std::int64_t r = 0; r < count; ++r) {
      T* row = in + (first + r) * width;
      head_row(row, rows[static_cast<std::size_t>(first + r)], angles);
      own.heads.put(r, 0, row, nullptr, width);
    }
    project_into(own.heads, matrix, {}, count, own.input.made.data());
    through_input(weights_.attention_norms, trace_.attention, rows.data() + first, count, cotangents + first * hidden,
                  own.input);
  });
}

template class RowAngles<float>;
template class RowAngles<double>;
template std::vector<float> BlockDropout::of_rows<float>(DropoutSite, std::int64_t, std::int64_t, std::int64_t) const;
template std::vector<double> BlockDropout::of_rows<double>(DropoutSite, std::int64_t, std::int64_t, std::int64_t) const;
template class BlockForward<float>;
template class BlockForward<double>;
template class BlockPullBack<float>;
template class BlockPullBack<double>;

}  // namespace whence::transformer
