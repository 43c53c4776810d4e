// A provider of the tests' own: accepts connections on loopback and plays what the test says, byte
// by byte.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::test {

inline constexpr int kPatienceMs = 5000;

/// Lets one thread wait for another, not for ever: a test that has failed still ends.
class Gate {
 public:
  void open();
  void wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

/// A blocking socket with the few calls that tests need. Owns its descriptor.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket& operator=(Socket&&) = delete;
  ~Socket();

  [[nodiscard]] static Socket connect_to(std::uint16_t port);
  void send(std::string_view bytes);
  /// What arrives until `bytes` are there, the peer ends or 5 s pass.
  std::string receive(std::size_t bytes);
  /// What has arrived and was not taken yet.
  std::string received();
  /// What arrives up to and with `text`, or all until the peer ends or `wait_ms` pass without a
  /// byte.
  std::string receive_until(std::string_view text, int wait_ms = kPatienceMs);
  /// One HTTP message with Content-Length, chunked or no body, as received.
  std::string receive_message();
  /// Everything until the peer ends (at most 5 s).
  std::string receive_all();
  /// True when the peer has ended the connection; waits up to `wait_ms`.
  bool peer_ended(int wait_ms);
  /// Nothing more is sent; what comes is still received.
  void end_sending();
  void close();
  void reset();  ///< closes with RST

 private:
  bool receive_some(int wait_ms);
  int fd_;
  std::string buffer_;
};

/// Accepts until destroyed; each connection runs `script` in a thread of its own.
class ScriptedUpstream {
 public:
  using Script = std::function<void(Socket& client, int connection)>;
  explicit ScriptedUpstream(Script script);
  ~ScriptedUpstream();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_all();
  Script script_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace sluice::test
