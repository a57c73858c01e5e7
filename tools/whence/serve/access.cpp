#include "access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace whence::serve {
namespace {

constexpr int kForbidden = 403;

/// Host without its port, in lower case; an IPv6 address without its brackets.
std::string host_name(const std::string& host) {
  std::string name = host;
  if (name.starts_with('['))
    name = name.substr(1, name.find(']') - 1);
  else if (std::ranges::count(name, ':') <= 1)
    name = name.substr(0, name.find(':'));
  std::ranges::transform(name, name.begin(), [](unsigned char letter) { return std::tolower(letter); });
  return name;
}

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

}  // namespace

std::optional<Failure> refuse_foreign(const Request& request, const std::vector<std::string>& names) {
  const std::string name = host_name(request.host);
  if (name != "localhost" && !is_address(name) && std::ranges::find(names, name, host_name) == names.end())
    return Failure{kForbidden, "Host",
                   "the request is for host '" + name +
                       "'; expected localhost, an address, or a name given with --allow-host when the server starts"};
  if (!request.origin.empty() && request.origin != "http://" + request.host)
    return Failure{kForbidden, "Origin",
                   "the request comes from a page of '" + request.origin + "'; only pages of this server may send one"};
  const bool own = request.fetch_site.empty() || request.fetch_site == "same-origin" || request.fetch_site == "none";
  if (!own && request.path != "/")
    return Failure{kForbidden, "Sec-Fetch-Site",
                   "the request comes from a page of another site; only pages of this server may send one"};
  return {};
}

}  // namespace whence::serve
