#pragma once

#include <string>

#include "api.h"
#include "workshop.h"

namespace whence::serve {

/// What a model can be asked for: facts about it, the plugins that are found, examples, and jobs. `server_facts` is the
/// JSON of /api/server. `shop` outlives it.
Offer model_offer(const Workshop& shop, std::string server_facts);

}  // namespace whence::serve
