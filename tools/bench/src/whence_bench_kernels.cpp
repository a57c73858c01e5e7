// Measures how fast this machine multiplies matrices, and how fast a model passes forward and backward, in turns. A
// request names a model and the sizes; see README.md for its members and those of an answer.
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <limits>
#include <list>

#include "answers.h"
#include "host/model_loading.h"
#include "host/search_path.h"
#include "packed_matrix.h"
#include "parallel.h"
#include "stopwatch.h"

namespace {

using nlohmann::json;
using whence::Tensor;
using whence::transformer::kPanelWidth;

/// Something that is done again and again, and what is known about it.
struct Measurement {
  json facts;
  std::function<void()> work;
  int calls = 1;  ///< in a row, so that short work is not measured just after something else emptied the caches
  double seconds = std::numeric_limits<double>::infinity(), cpu_seconds = seconds;  ///< the least so far

  void repeat() {
    for (int call = 0; call < calls; ++call) {
      const whence::bench::Stopwatch watch;
      work();
      const whence::bench::Seconds passed = watch.elapsed();
      seconds = std::min(seconds, passed.wall);
      cpu_seconds = std::min(cpu_seconds, passed.processor);
    }
  }
  json result() const {
    json all = facts;
    all.update({{"seconds", seconds}, {"cpu_seconds", cpu_seconds}});
    return all;
  }
};

/// A right factor [depth,width] made ready once; multiplies [rows,depth] by it.
using Product = std::function<Tensor(const Tensor& left)>;

Product torch_mm(const Tensor& right) {
  return [right](const Tensor& left) { return at::mm(left, right); };
}

/// Rows that oneDNN may choose the order of its weights for.
constexpr std::int64_t kRowsExpected = 256;

/// The product that libtorch has for weights that were reordered for it.
Product onednn_prepacked(const Tensor& right) {
  c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
  const auto reorder = dispatcher.findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                           .typed<Tensor(const Tensor&, std::optional<at::SymInt>)>();
  const auto linear = dispatcher.findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                          .typed<Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view,
                                        torch::List<std::optional<at::Scalar>>, std::optional<std::string_view>)>();
  try {
    const Product multiply =
        [linear, packed = reorder.call(right.t().contiguous(), at::SymInt(kRowsExpected))](const Tensor& left) {
          return linear.call(left, packed, std::nullopt, "none", torch::List<std::optional<at::Scalar>>(), "");
        };
    multiply(at::randn({1, right.size(0)}).to(right.scalar_type()));
    return multiply;
  } catch (const c10::Error&) {
    return torch_mm(right);  // oneDNN refuses bfloat16 on processors that lack it, and libtorch uses this
  }
}

/// The product of the engine; all of its sums are float32.
Product engine_panels(const Tensor& right) {
  using whence::transformer::BFloat16Bits;
  using whence::transformer::PackedMatrix;
  using whence::transformer::Precision;
  const bool rounded = right.scalar_type() == at::kBFloat16;
  const Tensor numbers = right.to(at::kFloat).contiguous();
  const auto packed = std::make_shared<PackedMatrix<float>>(right.size(0), right.size(1),
                                                            rounded ? Precision::bfloat16 : Precision::full);
  packed->pack_rows([&](std::int64_t row, float* out) {
    const float* from = numbers.const_data_ptr<float>() + row * numbers.size(1);
    std::copy_n(from, numbers.size(1), out);
  });
  return [packed, rounded](const Tensor& left) {
    const std::int64_t rows = left.size(0), depth = left.size(1), padded = packed->panels() * kPanelWidth;
    Tensor product = at::empty({rows, padded});
    whence::transformer::run_tasks(packed->panels(), [&](std::int64_t panel, std::int64_t) {
      float* out = product.mutable_data_ptr<float>() + panel * kPanelWidth;
      if (rounded)
        packed->multiply_panel(panel, static_cast<const BFloat16Bits*>(left.const_data_ptr()), depth, rows, out, padded,
                               false);
      else
        packed->multiply_panel(panel, left.const_data_ptr<float>(), depth, rows, out, padded, false);
    });
    return product;
  };
}

constexpr int kCallsOfProduct = 10;

struct Kernel {
  const char* name;
  Product (*prepare)(const Tensor& right);
};
/// Everything that multiplies matrices here and that the machine's peak is the fastest of.
constexpr Kernel kKernels[] = {
    {"torch mm", torch_mm}, {"oneDNN, prepacked", onednn_prepacked}, {"the engine's panels", engine_panels}};

void add_products(const json& request, std::list<Measurement>& measurements) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const json& size : request.at("products")) {
      const auto rows = size.at(0).get<std::int64_t>(), depth = size.at(1).get<std::int64_t>(),
                 width = size.at(2).get<std::int64_t>();
      const Tensor left = at::randn({rows, depth}).to(type), right = at::randn({depth, width}).to(type);
      for (const Kernel& kernel : kKernels)
        measurements.push_back({{{"what", "product"},
                                 {"kernel", kernel.name},
                                 {"dtype", type == at::kFloat ? "float32" : "bfloat16"},
                                 {"rows", rows},
                                 {"depth", depth},
                                 {"width", width}},
                                [left, multiply = kernel.prepare(right)] { multiply(left); },
                                kCallsOfProduct});
    }
}

/// A text of random tokens whose last `steps` are explained, and the last pass over it.
struct Text {
  const whence::Model& model;
  whence::Inputs inputs;
  whence::ForwardRequest request;
  whence::Cotangents cotangents;
  whence::Forward forward;

  Text(const whence::Model& model, std::int64_t rows, std::int64_t steps) : model(model) {
    const whence::ModelInfo& info = model.info();
    inputs.target = {at::randint(info.vocabulary, {1, rows}, at::kLong), at::tensor({rows}, at::kLong)};
    request.positions = at::arange(rows - steps, rows, at::kLong).unsqueeze(0);
    request.trace = true;
    cotangents.logits = at::randn({1, steps, info.vocabulary});
  }
  void pass_forward() { forward = model.forward(inputs, request); }
  void pull_back() const { model.pull_back(forward, cotangents, {}); }
};

/// Forward and backward passes over texts, each with the work of one of them.
void add_passes(const whence::Model& model, const std::string& dtype, const json& request, std::list<Text>& texts,
                std::list<Measurement>& measurements) {
  for (const json& size : request.at("texts")) {
    const auto rows = size.at(0).get<std::int64_t>(), steps = size.at(1).get<std::int64_t>();
    Text& text = texts.emplace_back(model, rows, steps);
    const auto add = [&](const char* what, const std::function<void()>& work) {
      const whence::Work before = model.work();
      work();
      const json counted = whence::bench::to_json(before, model.work());
      measurements.push_back(
          {{{"what", what}, {"dtype", dtype}, {"rows", rows}, {"steps", steps}, {"work", counted}}, work});
    };
    add("forward", [&text] { text.pass_forward(); });
    add("backward", [&text] { text.pull_back(); });
  }
}

json answer(const whence::host::PluginHost& host, const std::string& line) {
  const json request = json::parse(line);
  at::set_num_threads(request.at("threads").get<int>());
  std::list<Measurement> measurements;
  add_products(request, measurements);
  std::list<whence::host::LoadedModel> models;
  std::list<Text> texts;
  json facts, failures = json::object();
  for (const std::string dtype : request.at("dtypes")) {
    try {
      models.push_back(load_model(host, request.at("model").get<std::string>(), std::nullopt, {.dtype = dtype}));
    } catch (const whence::Error& error) {
      failures[dtype] = error.what();
      continue;
    }
    facts = whence::bench::to_json(models.back().model->info());
    add_passes(*models.back().model, dtype, request, texts, measurements);
  }
  const int repetitions = request.at("repetitions").get<int>();
  for (int i = 0; i < repetitions; ++i)
    for (Measurement& measurement : measurements) measurement.repeat();
  json results = json::array();
  for (const Measurement& measurement : measurements) results.push_back(measurement.result());
  return {{"model", facts}, {"measurements", results}, {"failures", failures}};
}

}  // namespace

int main() {
  const whence::host::Catalogue catalogue(whence::host::plugin_search_path({}, {}));
  const whence::host::PluginHost host(catalogue);
  whence::bench::answer_requests([&](const std::string& request) { return answer(host, request); });
}
