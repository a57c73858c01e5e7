#include "search.h"

#include "whence/error.h"

namespace whence::transformer {

void throw_no_token(const SearchTerms& terms, const TokenIds& ids) {
  throw ConfigError("the generation options leave no token that may come after " +
                    std::to_string(ids.size() - terms.prompt.size()) + " new tokens; ban or force fewer tokens");
}

}  // namespace whence::transformer
