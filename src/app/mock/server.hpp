// The stand-in's event loop: one thread, one epoll, all connections.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connection.hpp"
#include "recorder.hpp"
#include "sluice/tls/context.hpp"
#include "timer_wheel.hpp"

namespace sluice::mock {

struct Listen {
  ListenerKind kind = ListenerKind::plain;
  std::string address;  ///< "ADDR:PORT", IPv4; port 0 = any
};

struct Options {
  std::vector<Listen> listeners;
  Behaviour defaults;
  std::vector<std::string> models = {"mock", "mock-small", "mock-large"};
  std::unordered_map<std::string, Behaviour>
      named;                     ///< models whose behaviour is not in their name
  std::string certificate_file;  ///< of the TLS listeners
  std::string certificate_key_file;
  const Personality* personality = nullptr;  ///< null: each format as its own provider has it
  std::string required_key;                  ///< empty = any credential, or none
  Keep keep;
};

class Server {
 public:
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Opens the listeners. Empty on success, else one line for the operator.
  [[nodiscard]] std::string open();
  /// Where the listeners are, as one JSON line: {"http":[…],"https":[…],"control":[…]}.
  [[nodiscard]] std::string addresses_json() const;
  /// Serves until SIGINT or SIGTERM.
  void run();

 private:
  struct Listener {
    int fd = -1;
    ListenerKind kind = ListenerKind::plain;
    std::string address;
  };
  struct Handle {
    int fd;
    std::uint32_t generation;
  };

  // server.cpp: sockets
  [[nodiscard]] std::string open_listener(const Listen& listen);
  void accept_all(const Listener& listener);
  void on_event(std::uint64_t key, std::uint32_t events);
  void read_ready(Connection& connection);
  void write_ready(Connection& connection);
  void received(Connection& connection, std::string_view bytes);
  void send_bytes(Connection& connection, std::string_view bytes);
  /// Sends what was put together for this connection, and leaves nothing for the next one.
  void send_scratch(Connection& connection);
  void send_raw(Connection& connection, std::string_view bytes);
  [[nodiscard]] bool flush(Connection& connection);
  void watch(Connection& connection, bool writable);
  void gone(Connection& connection);
  void close_connection(Connection& connection);
  [[nodiscard]] Connection* find(Handle handle);

  // exchange.cpp: what is answered, and when
  void process(Connection& connection);
  [[nodiscard]] std::size_t process_one(Connection& connection, std::string_view bytes);
  void begin(Connection& connection, const HttpRequest& request);
  void start_record(Connection& connection, const HttpRequest& request, const RequestFacts& facts);
  [[nodiscard]] Script* script_for(const RequestFacts& facts);
  void release(std::size_t count);
  void schedule_answer(Connection& connection);
  void answer(Connection& connection);
  void answer_whole(Connection& connection);
  void pump(Connection& connection);
  [[nodiscard]] bool interrupted(Connection& connection);
  void refuse_as(Connection& connection, Trouble trouble);
  void refuse(Connection& connection, int status, std::string_view message, End end);
  void finish(Connection& connection, End end);
  void abort_exchange(Connection& connection);
  void on_timer(Connection& connection);
  void next_request(Handle handle);

  // control.cpp
  void control(Connection& connection, const HttpRequest& request);
  void list_models(Connection& connection, const RequestFacts& facts);

  Options options_;
  Recorder recorder_;
  TimerWheel wheel_;
  std::optional<tls::ServerContext> tls_;
  int epoll_fd_ = -1;
  int signal_fd_ = -1;
  std::int64_t now_ns_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint32_t generation_ = 0;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;  ///< by descriptor
  std::vector<std::unique_ptr<Connection>> closed_;       ///< freed after the turn
  std::vector<Handle> held_;
  std::unordered_map<std::string, std::unique_ptr<Script>> scripts_;
  std::string script_key_;
  std::string scratch_;
  std::string cipher_;  ///< ciphertext on its way to the socket
  std::string read_buffer_;
};

}  // namespace sluice::mock
