// Ways through a proxy: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, RFC 1929). The
// handshakes are plain state over bytes; open_tunnel() moves them over a stream. Behind it the
// stream belongs to the target: TLS, if any, is with the target and not with the proxy.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/net/stream.hpp"
#include "sluice/ring/task.hpp"

namespace sluice::net {

enum class ProxyProtocol : std::uint8_t { connect, socks5 };

struct ProxyTarget {
  std::string_view host;  ///< name or numeric address without brackets: the proxy resolves it
  std::uint16_t port = 0;
  std::string_view credentials;  ///< "user:password"; empty = none
};

/// One handshake. Lifecycle: made, then outgoing() is sent and sent() called, take() gets what the
/// proxy says, until done(). Of a fixed size, allocates nothing.
class ProxyHandshake {
 public:
  /// Most bytes that a proxy may answer a CONNECT with before its tunnel begins.
  static constexpr std::size_t kAnswerBytes = 8 * 1024;

  /// Errors: bad_value (a host or credentials that the protocol cannot carry), source self.
  [[nodiscard]] static Result<ProxyHandshake> make(ProxyProtocol protocol,
                                                   const ProxyTarget& target);
  ~ProxyHandshake();
  ProxyHandshake(const ProxyHandshake&) = default;
  ProxyHandshake& operator=(const ProxyHandshake&) = default;

  /// What is to be sent now; empty while the proxy has the word.
  [[nodiscard]] std::string_view outgoing() const {
    return std::string_view(out_.data(), out_end_).substr(out_begin_);
  }
  /// outgoing() was sent.
  void sent();
  /// Takes the proxy's next bytes, cut anywhere, and returns how many of them are its own: all, or
  /// those before the tunnel begins or before it is our turn. Errors: proxy_failed, source
  /// upstream: failure() says why.
  [[nodiscard]] Result<std::size_t> take(std::span<const char> bytes);
  [[nodiscard]] bool done() const { return step_ == Step::done; }
  /// Why it failed, for the operator; empty when it did not. Static text.
  [[nodiscard]] std::string_view failure() const { return failure_; }

 private:
  enum class Step : std::uint8_t { answer, method, login, reply, done };

  ProxyHandshake() = default;
  [[nodiscard]] bool write_connect(const ProxyTarget& target);
  [[nodiscard]] bool write_socks(const ProxyTarget& target);
  bool put(std::string_view text);
  bool put_base64(std::string_view text);
  std::unexpected<Error> fail_with(std::string_view why);
  [[nodiscard]] Result<std::size_t> take_answer(std::span<const char> bytes);
  [[nodiscard]] Result<std::size_t> take_socks(std::span<const char> bytes);
  [[nodiscard]] Result<> on_socks_message();
  [[nodiscard]] std::size_t socks_message_bytes() const;

  // A CONNECT's head with a name of 253 bytes and credentials of 511; or SOCKS5's three messages.
  std::array<char, 2048> out_{};
  std::uint16_t out_begin_ = 0;
  std::uint16_t out_end_ = 0;
  std::uint16_t written_ = 0;    ///< of out_; behind out_end_ stand later messages
  std::uint16_t login_end_ = 0;  ///< SOCKS5: greeting, login, request stand one after another
  std::uint16_t greeting_end_ = 0;
  Step step_ = Step::answer;
  std::uint16_t taken_ = 0;          ///< of the answer, or of the SOCKS message
  std::array<char, 262> message_{};  ///< SOCKS message so far; CONNECT: the status line's start
  std::uint8_t line_end_ = 0;        ///< CONNECT: how much of CRLF CRLF has been seen
  std::string_view failure_;
};

/// Runs the handshake over a connected stream. Errors: those of send and receive, with `closed` as
/// proxy_failed; proxy_failed, also where bytes come before the target was spoken to. Retry is yes:
/// nothing of a request was sent.
[[nodiscard]] ring::Task<Result<>> open_tunnel(Stream& stream, ProxyHandshake& handshake,
                                               TimeNs deadline_ns);

}  // namespace sluice::net
