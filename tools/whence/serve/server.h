#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api.h"

namespace whence::serve {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;                    ///< 0: any free one
  std::size_t connections = 256;                ///< beyond these clients are told to come back; half may follow events
  std::size_t max_body = 1 << 20;               ///< bytes
  std::chrono::milliseconds timeout{30'000};    ///< for a whole request to arrive, and for an answer to be taken
  std::chrono::milliseconds heartbeat{15'000};  ///< between signs of life to those who follow events
  std::chrono::milliseconds grace{30'000};      ///< that the job at work has to finish when the server stops
};

/// HTTP on one thread, which never waits for a client: each has a deadline, and what is kept of it is bounded. SIGINT
/// and SIGTERM drain the queue; a second one stops the job at work.
class Server {
 public:
  /// Listens from here on. `api` and `queue` outlive it; `say` gets lines for the user. Throws ConfigError for an
  /// address that cannot be listened at.
  Server(const ServerOptions& options, const Api& api, JobQueue& queue, std::function<void(const std::string&)> say);
  ~Server();

  std::string url() const;
  bool is_loopback() const;

  /// Serves on the calling thread until `finish`.
  void run();
  /// Sends what those who follow events still wait for and, when `linger`, lets them fetch a last result; then ends
  /// `run`. [thread: any]
  void finish(bool linger);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace whence::serve
