#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exchange.h"
#include "job_queue.h"

namespace whence::serve {

/// What a server offers beside its page.
struct Offer {
  /// JSON by the last part of its path below /api/: "model", "methods", "step-functions", "examples".
  std::map<std::string, std::string> documents;
  MakeTask make_task;
  std::vector<std::string> host_names;  ///< that requests may be for, beside localhost and addresses
};

/// Answers requests, as openapi.json describes. [thread: that of the connections]
class Api {
 public:
  /// `queue` outlives it.
  Api(Offer offer, JobQueue& queue) : offer_(std::move(offer)), queue_(queue) {}

  /// What must be refused before a body is read: foreign, unknown, or of the wrong kind.
  std::optional<Response> refuse_head(const Request& request) const;
  /// The answer to a request that `refuse_head` let through.
  Response answer(const Request& request) const;

 private:
  Response submit(const Request& request) const;
  Response job(const Request& request, const std::string& id, const std::string& part) const;

  const Offer offer_;
  JobQueue& queue_;
};

/// The state of a job as clients are told.
std::string job_json(const JobState& job);

}  // namespace whence::serve
