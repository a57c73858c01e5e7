#include "answers.h"

#include <iostream>

namespace whence::bench {

void answer_requests(const std::function<nlohmann::json(const std::string&)>& answer) {
  for (std::string request; std::getline(std::cin, request);) {
    nlohmann::json reply;
    try {
      reply = answer(request);
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply << std::endl;
  }
}

nlohmann::json to_json(const ModelInfo& info) {
  return {{"name", info.name},
          {"architecture", info.architecture},
          {"dtype", info.dtype},
          {"weights_format", info.weights_format},
          {"layers", info.layers},
          {"heads", info.heads},
          {"hidden", info.hidden},
          {"vocabulary", info.vocabulary},
          {"parameters", info.parameters},
          {"weight_bytes", info.weight_bytes},
          {"mapped_bytes", info.mapped_bytes}};
}

nlohmann::json to_json(const Work& before, const Work& after) {
  return {{"forward_passes", after.forward_passes - before.forward_passes},
          {"backward_passes", after.backward_passes - before.backward_passes},
          {"forward_rows", after.forward_rows - before.forward_rows},
          {"head_rows", after.head_rows - before.head_rows},
          {"backward_rows", after.backward_rows - before.backward_rows}};
}

}  // namespace whence::bench
