#include "weight_policy.h"

#include "stack_weights.h"
#include "whence/error.h"
#include "whence/memory.h"

namespace whence::transformer {
namespace {

[[noreturn]] void refuse(const ModelRequest& request, const std::string& what, const std::string& found,
                         const std::string& supported) {
  throw ModelError(request.path + ": " + what + " '" + found + "' is not supported; supported: " + supported);
}

}  // namespace

WeightPolicy choose_weight_policy(const ModelRequest& request, const TransformerConfig& config) {
  WeightPolicy policy;
  if (request.dtype == "mixed" || request.dtype == "bfloat16")
    policy.backward = Precision::bfloat16;
  else if (request.dtype != "float32")
    refuse(request, "dtype", request.dtype, "float32, mixed, bfloat16");
  if (request.dtype == "bfloat16") policy.forward = Precision::bfloat16;

  if (request.weights == "packed") {
    policy.resident = false;
  } else if (request.weights == "auto") {
    const std::int64_t budget = request.memory_bytes > 0 ? request.memory_bytes : available_memory();
    policy.resident = weight_bytes(config, policy).resident <= budget / 2;
  } else if (request.weights != "unpacked") {
    refuse(request, "way to hold weights", request.weights, "auto, unpacked, packed");
  }
  return policy;
}

}  // namespace whence::transformer
