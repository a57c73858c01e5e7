// The server with jobs that compute nothing, so that what is tested is the server: it is built with sanitizers, in
// seconds. usage: stub_server [max_body [connections [timeout_ms [waiting]]]]
#include <chrono>
#include <iostream>
#include <thread>

#include "serve/api.h"
#include "serve/server.h"

namespace {

using namespace whence;
using namespace whence::serve;

/// {"steps": N, "milliseconds": M, "text": "..."}: reports N steps of M milliseconds, then echoes the text.
Task make_task(const Value& request) {
  request.require_known_keys({"steps", "milliseconds", "text", "fail", "bytes"});
  const std::int64_t steps = request.at("steps").as_int(), milliseconds = request.at("milliseconds").as_int();
  const Value* text = request.find("text");
  const Value* fail = request.find("fail");
  const Value* bytes = request.find("bytes");
  const std::string echoed = text ? text->as_string() : "";
  const std::string failure = fail ? fail->as_string() : "";
  const std::size_t size = bytes ? static_cast<std::size_t>(bytes->as_int()) : 0;
  return [=](const Reporter& reporter) -> JobResult {
    const Progress progress = reporter.phase("sleeping");
    for (std::int64_t step = 0; step < steps; ++step) {
      progress(step, steps);
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    }
    progress(steps, steps);
    if (failure == "input") throw InputError(echoed);
    if (failure == "unknown") throw 1;
    return {"\"" + echoed + "\"", "<p>" + std::string(size, 'x')};
  };
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, long otherwise) { return argc > index ? std::stol(argv[index]) : otherwise; };
  ServerOptions options{.port = 0};
  options.max_body = static_cast<std::size_t>(argument(1, 4096));
  options.connections = static_cast<std::size_t>(argument(2, 64));
  options.timeout = std::chrono::milliseconds(argument(3, 1000));
  options.heartbeat = std::chrono::milliseconds(200);
  options.grace = std::chrono::milliseconds(5000);
  JobQueue queue({.waiting = static_cast<std::size_t>(argument(4, 4)),
                  .kept = 8,
                  .keep_time = std::chrono::seconds(60),
                  .work_time = std::chrono::seconds(3)});
  const Api api({{{"model", R"({"name": "stub"})"}}, make_task, {"Known.Example"}}, queue);
  Server server(options, api, queue, [](const std::string& text) { std::cerr << text << std::endl; });
  std::cout << server.url() << std::endl;
  std::jthread connections([&] { server.run(); });
  server.finish(queue.work());
}
