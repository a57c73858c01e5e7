#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/run.h"

namespace whence::host {

/// How one tensor of a result agrees with the stored one.
struct TensorDeviation {
  std::string attribution;  ///< its name, or the id of a text whose context is attributed
  std::string sequence;     ///< its index; of context the index of an output token, or "output"
  std::string tensor;
  double largest_absolute = 0;
  double largest_relative = 0;  ///< of elements that count: those above the absolute tolerance
  bool agrees = true;
  std::string problem;  ///< what cannot be compared, e.g. another shape; empty otherwise
};

struct Reproduction {
  std::vector<TensorDeviation> tensors;
  /// Files and plugins that are not those of the stored run, one line each, both checksums named.
  std::vector<std::string> changes;
  bool agrees = true;
};

struct ReproduceOptions {
  /// An element agrees when it deviates by at most `relative * |stored| + absolute * largest |stored| of the tensor`.
  double relative = 1e-3, absolute = 1e-5;
  bool allow_changed = false;                ///< go on when the checkpoint is another one
  std::optional<std::string> model;          ///< where the checkpoint lies now, if it was moved
  std::optional<std::int64_t> memory_bytes;  ///< another budget than that of the run
  RunListener listener;
};

/// Makes the run in `directory` again from its own experiment file and compares every tensor. Plugin folders named in
/// that file are not searched: a run directory may come from somebody else. Throws InputError for a folder that is no
/// run, and DisagreementError when the checkpoint changed and that isn't allowed.
Reproduction reproduce(const PluginHost& host, const std::filesystem::path& directory, const ReproduceOptions& options);

/// One tensor as `compare` has it; `deviation` names it.
TensorDeviation compare_tensor(TensorDeviation deviation, const Tensor& stored, const Tensor& made,
                               const ReproduceOptions& options);

/// Every tensor of two results, in the order of the stored one.
std::vector<TensorDeviation> compare(const std::string& name, const AttributionOutput& stored,
                                     const AttributionOutput& made, const ReproduceOptions& options);

}  // namespace whence::host
