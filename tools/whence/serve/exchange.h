#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"

namespace whence::serve {

/// What a client asks. Headers it did not send are empty.
struct Request {
  std::string method, path;  ///< the path without its query, as it was sent
  std::string host, origin, fetch_site, content_type, last_event_id;
  std::string body;
};

/// What it is told.
struct Response {
  int status = 200;
  std::string type;
  std::shared_ptr<const std::string> body;
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// When not empty, the events of this job behind `events_after` follow instead of a body.
  std::string events_of = {};
  std::int64_t events_after = 0;
};

/// The answer in place of one that is not given.
inline Response refusal(const Failure& failure, std::vector<std::pair<std::string, std::string>> headers = {}) {
  return {failure.status, "application/json", std::make_shared<const std::string>(failure_json(failure)),
          std::move(headers)};
}

}  // namespace whence::serve
