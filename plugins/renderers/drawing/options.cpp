#include "options.h"

#include "whence/error.h"

namespace whence::drawing {

TableOptions table_options(const Params& params) {
  TableOptions options;
  options.decimals = static_cast<int>(params.get<std::int64_t>("decimals"));
  if (params.has("max_rows")) options.max_rows = params.get<std::int64_t>("max_rows");
  if (params.get<std::string>("tokens") == "raw") options.tokens = TokenForm::raw;
  return options;
}

std::optional<double> max_value(const Params& params, const std::string& renderer) {
  if (!params.has("max_value")) return {};
  const auto value = params.get<double>("max_value");
  if (value <= 0)
    throw ConfigError(renderer + ": max_value is 0, expected the magnitude at the ends of the colour scale");
  return value;
}

}  // namespace whence::drawing
