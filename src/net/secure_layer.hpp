// TLS between a stream's socket and its users: ciphertext pieces become plaintext pieces, plaintext
// becomes ciphertext to send. No I/O of its own.
#pragma once

#include <string>
#include <string_view>

#include "sluice/net/stream.hpp"
#include "sluice/tls/engine.hpp"

namespace sluice::net {

class SecureLayer {
 public:
  /// Plaintext that one send encrypts ahead at most.
  static constexpr std::size_t kEncryptBytes = 64 * 1024;
  /// Bytes of the engine's own (answers to key updates, alerts) that may wait for a peer that does
  /// not read. A server's flight with a chain of nine certificates fits.
  static constexpr std::size_t kControlBytes = 64 * 1024;

  SecureLayer(tls::Engine engine, Source peer) : engine_(std::move(engine)), peer_(peer) {}

  /// A client's first flight.
  Result<> begin();
  /// Takes received ciphertext; pushes what it held to `plaintext`. What the engine wants to send
  /// is kept. Errors: tls_failed.
  Result<> feed(ring::Piece ciphertext, ring::PieceQueue& plaintext);
  /// Encrypts from the front of `text` up to kEncryptBytes and the engine's own waiting bytes
  /// before it; `taken` says how much of it. An empty piece: nothing to send. Errors: tls_failed,
  /// closed (after close()), and that of break_sending().
  Result<ring::Piece> encrypt(std::span<const iovec> text, std::size_t& taken);
  /// Queues close_notify, once. True when there is something to send.
  bool close();
  /// Ciphertext was lost on its way: nothing may follow it.
  void break_sending(const Error& error);

  /// Ciphertext that a send of the stream has not yet taken.
  [[nodiscard]] ring::Piece& in_flight() { return in_flight_; }

  /// The engine has bytes of its own to send.
  [[nodiscard]] bool has_control() const { return !control_.empty(); }
  [[nodiscard]] std::string take_control() { return std::exchange(control_, {}); }
  /// Why TLS failed; empty when it did not. Static text.
  [[nodiscard]] std::string_view failure() const;
  [[nodiscard]] const tls::Engine& engine() const { return engine_; }
  [[nodiscard]] tls::Engine& engine() { return engine_; }

 private:
  template <class Step>
  Result<> with_outbox(Step step);
  Result<> feed_step(ring::Piece& ciphertext, ring::PieceQueue& plaintext);

  tls::Engine engine_;
  std::string control_;
  ring::Piece in_flight_;
  Error send_error_;  ///< Errc::none while sending works
  Source peer_;
  bool flooded_ = false;
};

}  // namespace sluice::net
