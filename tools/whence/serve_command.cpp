#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "command.h"
#include "computing_options.h"
#include "console.h"
#include "host/run.h"
#include "serve/model_offer.h"
#include "serve/server.h"
#include "session.h"

namespace whence::cli {
namespace {

/// The value of an option that counts something.
std::int64_t count(const Arguments& arguments, const std::string& option, std::int64_t otherwise, std::int64_t least,
                   std::int64_t most) {
  const std::int64_t value = arguments.integer(option).value_or(otherwise);
  if (value < least || value > most)
    throw ConfigError("--" + option + ": " + std::to_string(value) + " is not between " + std::to_string(least) +
                      " and " + std::to_string(most));
  return value;
}

std::chrono::seconds seconds(const Arguments& arguments, const std::string& option, std::int64_t otherwise,
                             std::int64_t least = 1) {
  constexpr std::int64_t kMonth = 30 * 24 * 3600;
  return std::chrono::seconds(count(arguments, option, otherwise, least, kMonth));
}

serve::ServerOptions server_options(const Arguments& arguments) {
  serve::ServerOptions options;
  options.host = arguments.text("host").value_or(options.host);
  options.port = static_cast<std::uint16_t>(count(arguments, "port", options.port, 0, 65535));
  options.max_body = static_cast<std::size_t>(count(arguments, "max-body", 1 << 20, 1, 1 << 30));
  options.connections = static_cast<std::size_t>(count(arguments, "connections", 256, 2, 10000));
  options.timeout = seconds(arguments, "timeout", 30);
  options.grace = seconds(arguments, "grace", 30, 0);
  return options;
}

serve::JobQueue::Limits queue_limits(const Arguments& arguments) {
  return {.waiting = static_cast<std::size_t>(count(arguments, "queue", 16, 0, 10000)),
          .kept = static_cast<std::size_t>(count(arguments, "keep-jobs", 32, 1, 10000)),
          .keep_time = seconds(arguments, "keep-seconds", 3600),
          .work_time = seconds(arguments, "job-timeout", 600)};
}

std::string facts(const serve::ServerOptions& options, const serve::JobQueue::Limits& limits, std::int64_t max_tokens) {
  return nlohmann::ordered_json{{"version", WHENCE_VERSION},
                                {"queue", limits.waiting},
                                {"max_tokens", max_tokens},
                                {"max_body", options.max_body},
                                {"job_seconds", limits.work_time.count() / 1000},
                                {"keep_seconds", limits.keep_time.count()},
                                {"keep_jobs", limits.kept}}
      .dump();
}

int run(const Arguments& arguments) {
  expect_positional(arguments, 1, 1, "the model");
  const serve::ServerOptions options = server_options(arguments);
  const serve::JobQueue::Limits limits = queue_limits(arguments);
  const std::int64_t max_tokens = count(arguments, "max-tokens", 1024, 1, 1'000'000);
  host::Experiment settings;
  settings.model_path = host::find_model(arguments.positional().front(), std::filesystem::current_path());
  apply_computing_options(arguments, settings);
  set_threads(arguments, 0);
  const Session session(arguments);
  const host::LoadedModel loaded = host::load_model(session.host, settings);
  host::warn_of_checkpoint(loaded, settings.model_path, warnings(arguments));

  const serve::Workshop shop{session.host,        loaded,    settings.model_path, settings.memory_bytes,
                             settings.batch_size, max_tokens};
  serve::Offer offer = serve::model_offer(shop, facts(options, limits, max_tokens));
  offer.host_names = arguments.list("allow-host");
  offer.host_names.push_back(options.host);
  serve::JobQueue queue(limits);
  const serve::Api api(std::move(offer), queue);
  serve::Server server(options, api, queue, notices(arguments));
  if (!server.is_loopback())
    warnings(arguments)("--host " + options.host +
                        ": whoever reaches this machine can use the model and its processors; there is no password");
  print(server.url() + "\n");
  notices(arguments)("serving " + loaded.model->info().name + "; interrupt to stop");
  // This thread computes, since the number of threads that libtorch uses is set for it.
  std::jthread connections([&] { server.run(); });
  const bool worked = queue.work();
  server.finish(worked);
  return 0;
}

}  // namespace

Command serve_command() {
  using enum OptionKind;
  std::vector<Option> options{
      {"host", value, {}, "ADDRESS", "address to listen at; default: 127.0.0.1, which only this machine reaches"},
      {"port", value, {}, "N", "port to listen at; 0: any free one; default: 8080"},
      {"allow-host", repeated, {}, "NAME", "a name that this server is reached by, beside localhost and addresses"},
      {"queue", value, {}, "N", "jobs that may wait while one is at work; default: 16"},
      {"max-tokens", value, {}, "N", "tokens of the texts of a job and of what may be generated; default: 1024"},
      {"max-body", value, {}, "BYTES", "largest request; default: 1048576"},
      {"connections", value, {}, "N", "clients at a time, of which half may follow events; default: 256"},
      {"timeout", value, {}, "SECONDS", "time that a request may take to arrive; default: 30"},
      {"job-timeout", value, {}, "SECONDS", "time that a job may compute; default: 600"},
      {"keep-jobs", value, {}, "N", "jobs that are over and can still be asked for their result; default: 32"},
      {"keep-seconds", value, {}, "SECONDS", "how long they can; default: 3600"},
      {"grace", value, {}, "SECONDS", "time that the job at work has to finish when the server stops; default: 30"}};
  for (Option& option : model_options()) options.push_back(std::move(option));
  return {
      "serve",
      "MODEL [options]",
      "Serve a page and a JSON API for a model",
      "Loads the checkpoint once, prints the address of a local page where texts are written, explained and looked "
      "at, and answers a JSON API under it (docs/serving.md; /openapi.json describes it). Jobs are computed one "
      "after the other.\n\nInterrupting it (SIGINT, SIGTERM) refuses new jobs, cancels those that wait and finishes "
      "the one at work; interrupting it again cancels that one, too.",
      options,
      run,
      /*computes=*/true};
}

}  // namespace whence::cli
