#include "api.h"

#include <algorithm>

#include "access.h"
#include "json_text.h"
#include "json_value.h"
#include "page_files.h"

namespace whence::serve {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kJobs = "/api/jobs";
constexpr const char* kJson = "application/json";

Response ok(const std::string& type, std::string text) {
  return {200, type, std::make_shared<const std::string>(std::move(text))};
}

Response unknown_job(const std::string& id) {
  return refusal({404, "id", "no job '" + id + "' is known; jobs that are over are forgotten after a while"});
}

/// "/api/jobs/ID/PART" in its parts; PART may be missing.
std::optional<std::pair<std::string, std::string>> job_path(const std::string& path) {
  const std::string before = std::string(kJobs) + "/";
  if (!path.starts_with(before)) return {};
  const std::string rest = path.substr(before.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string::npos) return std::pair(rest, std::string());
  return std::pair(rest.substr(0, slash), rest.substr(slash + 1));
}

/// Methods that a path takes; none: there is no such path.
std::vector<std::string> methods_of(const std::string& path, const Offer& offer) {
  if (path == kJobs) return {"POST"};
  if (const auto job = job_path(path)) {
    if (job->second.empty() && !path.ends_with('/')) return {"GET", "HEAD", "DELETE"};
    const bool known = job->second == "events" || job->second == "result.json" || job->second == "result.html";
    return known ? std::vector<std::string>{"GET", "HEAD"} : std::vector<std::string>{};
  }
  const bool document = path.starts_with("/api/") && offer.documents.contains(path.substr(5));
  return document || find_page_file(path) ? std::vector<std::string>{"GET", "HEAD"} : std::vector<std::string>{};
}

bool is_json(const std::string& content_type) {
  std::string type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  return type == kJson;
}

/// The Last-Event-ID of a client that comes back; 0 for one that is new.
std::int64_t last_event(const std::string& header) {
  const bool number = !header.empty() && header.size() <= 18 &&
                      std::ranges::all_of(header, [](unsigned char letter) { return std::isdigit(letter); });
  return number ? std::stoll(header) : 0;
}

}  // namespace

std::string job_json(const JobState& job) {
  nlohmann::ordered_json json{{"id", job.id}, {"status", status_name(job.status)}};
  if (job.status == JobStatus::queued) json["place"] = job.place;
  if (job.status == JobStatus::running) {
    json["phase"] = job.phase;
    json["done"] = job.done;
    json["total"] = job.total;
    json["stopping"] = job.stopping;
  }
  json["warnings"] = job.warnings;
  if (job.failure)
    json["error"] = {{"status", job.failure->status}, {"place", job.failure->place}, {"message", job.failure->message}};
  if (job.result)
    json["result"] = {{"json", std::string(kJobs) + "/" + job.id + "/result.json"},
                      {"html", std::string(kJobs) + "/" + job.id + "/result.html"}};
  return json_text(json);
}

std::optional<Response> Api::refuse_head(const Request& request) const {
  if (const auto foreign = refuse_foreign(request, offer_.host_names)) return refusal(*foreign);
  const std::vector<std::string> methods = methods_of(request.path, offer_);
  if (methods.empty())
    return refusal({404, "path", "there is no '" + request.path + "' here; /openapi.json lists what there is"});
  std::string allowed;
  for (const std::string& method : methods) allowed += (allowed.empty() ? "" : ", ") + method;
  if (std::ranges::find(methods, request.method) == methods.end())
    return refusal({405, "method", "'" + request.path + "' does not take " + request.method + "; expected " + allowed},
                   {{"Allow", allowed}});
  // A form of another site can send other types without being asked, but not this one.
  if (request.method == "POST" && !is_json(request.content_type))
    return refusal({415, "Content-Type", "the body is '" + request.content_type + "'; expected " + kJson});
  return {};
}

Response Api::answer(const Request& request) const {
  try {
    if (request.path == kJobs) return submit(request);
    if (const auto path = job_path(request.path)) return job(request, path->first, path->second);
    if (const PageFile* file = find_page_file(request.path)) return {200, file->type, file->text, kPageHeaders};
    return ok(kJson, offer_.documents.at(request.path.substr(5)));
  } catch (...) {
    return refusal(failure_from(std::current_exception()));
  }
}

Response Api::submit(const Request& request) const {
  const std::string retry = std::to_string(queue_.retry_after().count());
  if (queue_.draining()) return refusal({503, "", "the server stops and takes no more jobs"}, {{"Retry-After", retry}});
  Value value;
  try {
    value = cli::parse_json(request.body, "body", cli::JsonPlaces::paths);
  } catch (const ConfigError& error) {
    return refusal({400, "body", error.what()});
  }
  const auto job = queue_.submit(offer_.make_task(value));
  if (!job)
    return refusal({503, "",
                    "all " + std::to_string(queue_.limits().waiting) + " places of the queue are taken; try again in " +
                        retry + " s"},
                   {{"Retry-After", retry}});
  Response response = ok(kJson, job_json(*job));
  response.status = 202;
  response.headers.emplace_back("Location", std::string(kJobs) + "/" + job->id);
  return response;
}

Response Api::job(const Request& request, const std::string& id, const std::string& part) const {
  const auto job = request.method == "DELETE" ? queue_.cancel(id) : queue_.state(id);
  if (!job) return unknown_job(id);
  if (part.empty()) return ok(kJson, job_json(*job));
  if (part == "events") {
    const std::int64_t after = last_event(request.last_event_id);
    const auto events = queue_.events(id, after);
    if (!events) return unknown_job(id);
    // A browser comes back until it is told that nothing follows.
    if (events->over && events->events.empty())
      return {204, "text/event-stream", std::make_shared<const std::string>()};
    return {200, "text/event-stream", nullptr, {}, id, after};
  }
  if (!job->result)
    return refusal({409, "id", "the job has no result: it is " + std::string(status_name(job->status))});
  // Shares the bytes with the job.
  if (part == "result.json")
    return {
        200, kJson, {job->result, &job->result->json}, {{"Content-Disposition", "inline; filename=\"whence.json\""}}};
  return {200, "text/html; charset=utf-8", {job->result, &job->result->html}, kResultHeaders};
}

}  // namespace whence::serve
