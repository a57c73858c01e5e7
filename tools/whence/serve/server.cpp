// The only file that includes the HTTP library, which takes long to compile.
#include "server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <csignal>
#include <set>

#include "json_text.h"

namespace whence::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using std::chrono::milliseconds;

constexpr std::uint32_t kMostHeaderBytes = 16 << 10;
/// Connections that are told that the server is busy; further ones wait in the system's queue.
constexpr std::size_t kMostBusy = 64;
/// A client that takes an answer more slowly is given up.
constexpr std::size_t kLeastBytesPerSecond = 16 << 10;
/// How long a client that was refused may go on sending before the connection is reset.
constexpr milliseconds kFarewell{1000};

std::string text_of(beast::string_view view) { return {view.data(), view.size()}; }

Request request_from(const http::request_parser<http::string_body>& parser) {
  const auto& head = parser.get();
  Request request;
  request.method = text_of(head.method_string());
  request.path = text_of(head.target().substr(0, head.target().find('?')));
  request.host = text_of(head[http::field::host]);
  request.origin = text_of(head[http::field::origin]);
  request.fetch_site = text_of(head["Sec-Fetch-Site"]);
  request.content_type = text_of(head[http::field::content_type]);
  request.last_event_id = text_of(head["Last-Event-ID"]);
  return request;
}

/// What every answer says: it is what its type says, of this moment, for pages of this server alone.
template <class Message>
void set_headers(Message& message, const Response& response) {
  message.set(http::field::content_type, response.type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Referrer-Policy", "no-referrer");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  if (message.count("Content-Security-Policy") == 0)
    message.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
}

}  // namespace

class Server::Impl {
 public:
  class Connection;

  Impl(const ServerOptions& options, const Api& api, JobQueue& queue, std::function<void(const std::string&)> say);

  void accept();
  void end_of(Connection* connection);
  void pump();
  void await_signal();
  void stop();
  void finish(bool linger);
  void close_all();

  const ServerOptions options;
  const Api& api;
  JobQueue& queue;
  const std::function<void(const std::string&)> say;
  std::set<Connection*> connections;
  std::size_t streams = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::signal_set signals{io, SIGINT, SIGTERM};
  asio::steady_timer grace{io}, pause{io};
  int signals_seen = 0;
  bool accepting = false;
  std::atomic<bool> pumping = false;
};

/// One client. It lives as long as something is awaited from it.
class Server::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Impl& server, bool busy)
      : socket_(std::move(socket)), server_(server), timer_(socket_.get_executor()), busy_(busy) {
    server_.connections.insert(this);
  }
  ~Connection() {
    if (streaming_) --server_.streams;
    server_.end_of(this);
  }

  void read_head();
  void pump();
  void close();
  bool is_idle() const { return !streaming_ && !writing_ && buffer_.size() == 0; }

 private:
  void await(milliseconds time, void (Connection::*late)());
  void give_up();
  void on_head(beast::error_code failure);
  void on_body(beast::error_code failure);
  void on_broken(beast::error_code failure);
  void respond(Response response, bool last);
  void on_written(beast::error_code failure);
  void begin_stream(const Response& response);
  void send(std::string text);
  void say_alive() { send(": still here\n\n"); }
  void watch();
  void farewell();
  void discard();

  template <class... Arguments>
  auto then(void (Connection::*next)(Arguments...)) {
    return [self = shared_from_this(), next](beast::error_code failure, std::size_t) { (self.get()->*next)(failure); };
  }

  tcp::socket socket_;
  Impl& server_;
  asio::steady_timer timer_;
  const bool busy_;
  beast::flat_buffer buffer_{2 * kMostHeaderBytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  Request request_;
  Response response_;
  std::optional<http::response<http::span_body<const char>>> message_;
  std::optional<http::response_serializer<http::span_body<const char>>> serializer_;
  bool late_ = false, last_ = false, writing_ = false, streaming_ = false, stream_over_ = false;
  std::string sent_;
  std::int64_t last_event_ = 0;
  std::size_t discarded_ = 0;
};

void Server::Impl::Connection::await(milliseconds time, void (Connection::*late)()) {
  timer_.expires_after(time);
  timer_.async_wait([weak = weak_from_this(), late](beast::error_code failure) {
    const auto self = weak.lock();
    // One that was set again after it had run out is not late.
    if (self && !failure && self->timer_.expiry() <= std::chrono::steady_clock::now()) (self.get()->*late)();
  });
}

void Server::Impl::Connection::give_up() {
  late_ = true;
  beast::error_code ignored;
  socket_.cancel(ignored);
}

void Server::Impl::Connection::close() {
  timer_.cancel();
  beast::error_code ignored;
  socket_.close(ignored);
}

void Server::Impl::Connection::read_head() {
  parser_.emplace();
  parser_->header_limit(kMostHeaderBytes);
  parser_->body_limit(server_.options.max_body);
  await(server_.options.timeout, &Connection::give_up);
  http::async_read_header(socket_, buffer_, *parser_, then(&Connection::on_head));
}

void Server::Impl::Connection::on_head(beast::error_code failure) {
  if (failure) return on_broken(failure);
  if (busy_)
    return respond(
        refusal({503, "", "the server has as many connections as it takes; try again in 1 s"}, {{"Retry-After", "1"}}),
        true);
  if (parser_->get().count(http::field::host) > 1)
    return respond(refusal({400, "Host", "the request has two Host headers; expected one"}), true);
  request_ = request_from(*parser_);
  if (auto refused = server_.api.refuse_head(request_)) return respond(std::move(*refused), !parser_->is_done());
  if (parser_->is_done()) return on_body({});
  if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    sent_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(sent_), [self = shared_from_this()](beast::error_code broken, std::size_t) {
      if (broken) return self->on_broken(broken);
      http::async_read(self->socket_, self->buffer_, *self->parser_, self->then(&Connection::on_body));
    });
    return;
  }
  http::async_read(socket_, buffer_, *parser_, then(&Connection::on_body));
}

void Server::Impl::Connection::on_body(beast::error_code failure) {
  if (failure) return on_broken(failure);
  request_.body = std::move(parser_->get().body());
  Response response = server_.api.answer(request_);
  request_.body.clear();
  const bool head = request_.method == "HEAD";
  if (response.events_of.empty() || head) return respond(std::move(response), !parser_->keep_alive());
  if (server_.streams >= std::max<std::size_t>(1, server_.options.connections / 2))
    return respond(refusal({503, "", "as many clients follow events as the server takes; try again in 1 s"},
                           {{"Retry-After", "1"}}),
                   true);
  begin_stream(response);
}

void Server::Impl::Connection::on_broken(beast::error_code failure) {
  const auto answer = [&](int status, const std::string& place, const std::string& message) {
    respond(refusal({status, place, message}), true);
  };
  const std::string body_limit = std::to_string(server_.options.max_body);
  if (late_) {
    if (!parser_->got_some()) return close();
    late_ = false;
    return answer(408, "",
                  "the request took longer than " +
                      std::to_string(server_.options.timeout.count() / 1000.0).substr(0, 4) +
                      " s to arrive; send it at once");
  }
  if (failure == http::error::body_limit)
    return answer(413, "body", "the body has more than " + body_limit + " bytes, which is all this server takes");
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow)
    return answer(431, "headers", "the headers have more than " + std::to_string(kMostHeaderBytes) + " bytes");
  if (failure == http::error::end_of_stream || failure == http::error::partial_message ||
      failure.category() != http::make_error_code(http::error::bad_method).category())
    return close();
  answer(400, "", "the request is no HTTP: " + failure.message());
}

void Server::Impl::Connection::respond(Response response, bool last) {
  response_ = std::move(response);
  if (!response_.body) response_.body = std::make_shared<const std::string>();
  last_ = last;
  writing_ = true;
  message_.emplace(static_cast<http::status>(response_.status), 11);
  set_headers(*message_, response_);
  message_->keep_alive(!last);
  message_->body() = {response_.body->data(), response_.body->size()};
  if (response_.status != 204) message_->content_length(response_.body->size());
  serializer_.emplace(*message_);
  await(server_.options.timeout + milliseconds(1000 * response_.body->size() / kLeastBytesPerSecond),
        &Connection::close);
  if (request_.method == "HEAD") {
    serializer_->split(true);
    http::async_write_header(socket_, *serializer_, then(&Connection::on_written));
  } else {
    http::async_write(socket_, *serializer_, then(&Connection::on_written));
  }
}

void Server::Impl::Connection::on_written(beast::error_code failure) {
  writing_ = false;
  serializer_.reset();
  message_.reset();
  response_ = {};
  if (failure) return close();
  if (last_) return farewell();
  request_ = {};
  read_head();
}

/// Closing while a client still sends makes its system throw away an answer that it has not read yet.
void Server::Impl::Connection::farewell() {
  beast::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  await(kFarewell, &Connection::close);
  discard();
}

void Server::Impl::Connection::discard() {
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(kMostHeaderBytes),
                          [self = shared_from_this()](beast::error_code failure, std::size_t bytes) {
                            self->discarded_ += bytes;
                            if (failure || self->discarded_ > 4 * self->server_.options.max_body) return self->close();
                            self->discard();
                          });
}

void Server::Impl::Connection::begin_stream(const Response& response) {
  streaming_ = true;
  ++server_.streams;
  response_ = response;
  last_event_ = response.events_after;
  http::response<http::empty_body> head(http::status::ok, 11);
  set_headers(head, response);
  head.keep_alive(false);
  std::ostringstream text;
  text << head.base();
  watch();
  send(text.str() + "retry: 2000\n\n");
}

/// A client that follows events has nothing more to say: it went away, or talks out of turn.
void Server::Impl::Connection::watch() {
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(1), [self = shared_from_this()](beast::error_code, std::size_t) {
    if (!self->stream_over_) self->close();
  });
}

void Server::Impl::Connection::send(std::string text) {
  writing_ = true;
  sent_ = std::move(text);
  await(server_.options.timeout, &Connection::close);
  asio::async_write(socket_, asio::buffer(sent_), [self = shared_from_this()](beast::error_code failure, std::size_t) {
    self->writing_ = false;
    if (failure) return self->close();
    self->pump();
  });
}

void Server::Impl::Connection::pump() {
  if (!streaming_ || writing_ || !socket_.is_open()) return;
  if (stream_over_) return close();
  const auto news = server_.queue.events(response_.events_of, last_event_);
  if (!news) return close();
  std::string text;
  for (const JobEvent& event : news->events) {
    text += "id: " + std::to_string(event.id) + "\nevent: " + event.name + "\ndata: " + event.data + "\n\n";
    last_event_ = event.id;
  }
  stream_over_ = news->over;
  if (!text.empty()) return send(std::move(text));
  if (stream_over_) return close();
  await(server_.options.heartbeat, &Connection::say_alive);
}

Server::Impl::Impl(const ServerOptions& given, const Api& served, JobQueue& jobs,
                   std::function<void(const std::string&)> speaker)
    : options(given), api(served), queue(jobs), say(std::move(speaker)) {
  try {
    tcp::resolver resolver(io);
    const tcp::endpoint endpoint = *resolver.resolve(options.host, std::to_string(options.port)).begin();
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint);
    acceptor.listen();
  } catch (const boost::system::system_error& error) {
    throw ConfigError("--host " + options.host + ", --port " + std::to_string(options.port) +
                      ": cannot listen there: " + error.code().message() +
                      "; choose another port, or 0 for any free one");
  }
  queue.on_change([this] {
    if (!pumping.exchange(true)) asio::post(io, [this] { pump(); });
  });
  await_signal();
  accept();
}

void Server::Impl::accept() {
  accepting = true;
  acceptor.async_accept([this](beast::error_code failure, tcp::socket socket) {
    accepting = false;
    if (failure == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (failure) {  // no file descriptor is left, for instance
      pause.expires_after(milliseconds(100));
      pause.async_wait([this](beast::error_code stopped) {
        if (!stopped) accept();
      });
      return;
    }
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    std::make_shared<Connection>(std::move(socket), *this, connections.size() >= options.connections)->read_head();
    if (connections.size() < options.connections + kMostBusy) accept();
  });
}

void Server::Impl::end_of(Connection* connection) {
  connections.erase(connection);
  if (!accepting && acceptor.is_open() && connections.size() < options.connections + kMostBusy) accept();
}

void Server::Impl::pump() {
  pumping = false;
  // A connection that closes leaves the set while it is walked through.
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : connections)
    if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
  for (const auto& connection : all) connection->pump();
}

void Server::Impl::await_signal() {
  signals.async_wait([this](beast::error_code failure, int) {
    if (failure) return;
    stop();
    if (signals_seen < 2) await_signal();
  });
}

void Server::Impl::stop() {
  if (++signals_seen > 1) {
    say("stopping the job at work");
    queue.stop_running();
    signals.clear();  // a third signal ends the process as if it had not been waited for
    return;
  }
  if (!queue.drain()) return;
  say("finishing the job at work; interrupt again to stop it");
  grace.expires_after(options.grace);
  grace.async_wait([this](beast::error_code failure) {
    if (!failure) queue.stop_running();
  });
}

void Server::Impl::finish(bool linger) {
  constexpr milliseconds kLinger{1500};
  grace.expires_after(linger ? kLinger : milliseconds(100));
  grace.async_wait([this](beast::error_code) { close_all(); });
  pump();
}

void Server::Impl::close_all() {
  beast::error_code ignored;
  acceptor.close(ignored);
  pause.cancel();
  signals.cancel(ignored);
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : connections)
    if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
  for (const auto& connection : all) connection->close();
}

Server::Server(const ServerOptions& options, const Api& api, JobQueue& queue,
               std::function<void(const std::string&)> say)
    : impl_(std::make_unique<Impl>(options, api, queue, std::move(say))) {}
Server::~Server() {
  impl_->queue.on_change([] {});
}

std::string Server::url() const {
  const tcp::endpoint endpoint = impl_->acceptor.local_endpoint();
  const bool bracketed = endpoint.address().is_v6();
  const std::string host = impl_->options.host;
  return "http://" + (bracketed && host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" +
         std::to_string(endpoint.port()) + "/";
}

bool Server::is_loopback() const { return impl_->acceptor.local_endpoint().address().is_loopback(); }

void Server::run() {
  // With nothing left to wait for it returns: the connections and the acceptor are closed.
  for (;;) try {
      impl_->io.run();
      return;
    } catch (const std::exception& error) {
      impl_->say(std::string("a connection failed: ") + error.what());
    }
}

void Server::finish(bool linger) {
  asio::post(impl_->io, [this, linger] { impl_->finish(linger); });
}

}  // namespace whence::serve
