// One TLS connection without I/O: ciphertext in, plaintext out, and the other way round.
//
//   received bytes ──► receive() ──► plaintext span
//   plaintext ───────► send() ─────► Outbox (ciphertext to send, several records together)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/error.hpp"

struct WOLFSSL;

namespace sluice::tls {

class ClientContext;
class ServerContext;

enum class State : std::uint8_t {
  handshaking,
  open,
  peer_closed,  ///< the peer sent close_notify: what was received is whole; sending may go on
  failed,  ///< see Engine::failure(); nothing more is read or written, but the outbox may hold an
           ///< alert
};

/// Room for ciphertext that is to be sent. The caller owns the memory, sends [0, used) and sets
/// used = 0; it must not change used while part of it is in flight. Records of several calls follow
/// one another in it.
struct Outbox {
  std::span<char> room;
  std::size_t used = 0;

  [[nodiscard]] std::size_t free_bytes() const { return room.size() - used; }
  [[nodiscard]] std::span<const char> pending() const { return room.first(used); }
};

/// A plaintext of n bytes needs at most n + kRecordOverhead bytes of outbox a record of 16 KiB.
inline constexpr std::size_t kRecordOverhead = 64;
inline constexpr std::size_t kMaxRecordPlaintext = 16 * 1024;

struct Received {
  std::size_t consumed_bytes = 0;   ///< ciphertext taken from the front of what was given
  std::size_t plaintext_bytes = 0;  ///< written to the front of the plaintext span
};

/// One connection. Owner: the connection's slot; thread: that of its context. wolfSSL allocates
/// while it handshakes, and one block a record each way, which it frees within the call unless the
/// record is still incomplete; never more than one record each way.
class Engine {
 public:
  /// Server side of an accepted connection.
  [[nodiscard]] static Result<Engine> server(const ServerContext& context);

  /// Client side. `host` is the upstream's DNS name or an IP literal (without brackets): a DNS name
  /// is sent as SNI; the certificate must have it as a subject alternative name. At most 253 bytes,
  /// else bad_value.
  [[nodiscard]] static Result<Engine> client(const ClientContext& context, std::string_view host);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  /// Takes ciphertext and yields plaintext; drives the handshake too. A client calls it once with
  /// nothing to make its first flight. Returns when the ciphertext or the plaintext room is used
  /// up, or the outbox is full. Ciphertext that was not consumed must be given again, at the front
  /// of what comes next. A close_notify ends consumption (state peer_closed). Errors: tls_failed
  /// (state failed; failure() says why; the outbox may hold the alert). Source: client for a server
  /// engine, upstream for a client engine.
  Result<Received> receive(std::span<const char> ciphertext, std::span<char> plaintext,
                           Outbox& out);

  /// Whether receive() has something to do without more ciphertext: the last plaintext span was
  /// filled, or the outbox was full and ciphertext waits for room in it. The second can be so in
  /// any state, also when failed.
  [[nodiscard]] bool has_more() const;

  /// Encrypts from the front of `plaintext` as much as fits the outbox and returns that count: 0
  /// when the outbox is too full for a record, or during the handshake. Errors: tls_failed, closed
  /// (after close()).
  Result<std::size_t> send(std::span<const char> plaintext, Outbox& out);

  /// Puts close_notify into the outbox, once. Sending is over, receiving may go on. No effect when
  /// failed.
  void close(Outbox& out);

  /// The transport ended. Success after close_notify; without it truncated: a body that ends with
  /// the connection is then not whole. During the handshake: tls_failed.
  Result<> end_of_stream();

  [[nodiscard]] State state() const { return state_; }
  /// Why it failed, one line for the operator, e.g. "certificate has expired". Empty unless failed.
  /// Static text.
  [[nodiscard]] std::string_view failure() const;
  /// wolfSSL's error number behind failure(), 0 unless failed.
  [[nodiscard]] int failure_code() const { return failure_code_; }
  /// The protocol both sides agreed on by ALPN ("http/1.1"), or empty.
  [[nodiscard]] std::string_view alpn() const;
  /// "TLSv1.3" or "TLSv1.2", once open.
  [[nodiscard]] std::string_view version() const;
  [[nodiscard]] std::string_view cipher() const;
  /// Whether a session ticket shortened the handshake.
  [[nodiscard]] bool resumed() const;

 private:
  struct Deleter {
    void operator()(WOLFSSL* ssl) const noexcept;
  };
  using Handle = std::unique_ptr<WOLFSSL, Deleter>;
  Engine(Handle handle, Source peer) : handle_(std::move(handle)), peer_(peer) {}

  friend struct EngineProbe;  ///< lets tests play a peer that misbehaves

  static constexpr std::size_t kMaxRead = 1U << 30U;  ///< wolfSSL counts in int

  Result<> handshake();
  std::unexpected<Error> failed(int code);
  /// Whether the peer makes us write without end: see kMaxControlBytes.
  bool is_flooded(std::size_t written_bytes, std::size_t plaintext_bytes);
  /// Moves what waited for room into the outbox. False while some is left.
  bool drain_spill(Outbox& out);

  Handle handle_;
  std::string spill_;  ///< ciphertext that did not fit the outbox: at most a flight, nearly never
  const char* refusal_ = nullptr;  ///< why our own check of the certificate failed
  std::size_t control_bytes_ = 0;  ///< written for the peer's key updates, less what came with them
  int failure_code_ = 0;
  State state_ = State::handshaking;
  Source peer_;
  bool alpn_agreed_ = false;
  bool close_sent_ = false;
};

}  // namespace sluice::tls
