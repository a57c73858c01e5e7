#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exchange.h"

namespace whence::serve {

/// Refuses what a page of another site makes a browser send. The Host must be localhost, an address, or one of `names`:
/// a name that an attacker's server resolves to this machine is none of these (DNS rebinding). The Origin, if there is
/// one, must be this server; what browsers mark as coming from elsewhere may only open the page.
std::optional<Failure> refuse_foreign(const Request& request, const std::vector<std::string>& names);

}  // namespace whence::serve
