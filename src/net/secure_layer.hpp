// TLS between a stream's socket and its users: ciphertext pieces become plaintext pieces, plaintext
// becomes ciphertext to send. No I/O of its own.
#pragma once

#include <string>

#include "sluice/net/stream.hpp"
#include "sluice/tls/engine.hpp"

namespace sluice::net {

class SecureLayer {
 public:
  /// Plaintext that one send encrypts ahead at most.
  static constexpr std::size_t kEncryptBytes = 64 * 1024;

  explicit SecureLayer(tls::Engine engine) : engine_(std::move(engine)) {}

  /// A client's first flight.
  Result<> begin();
  /// Takes received ciphertext; pushes what it held to `plaintext`. What the engine wants to send
  /// is kept.
  Result<> feed(ring::Piece ciphertext, ring::PieceQueue& plaintext);
  /// Encrypts from the front of `text` up to kEncryptBytes and the engine's own waiting bytes
  /// before it; `taken` says how much of it. An empty piece: nothing to send.
  Result<ring::Piece> encrypt(std::span<const iovec> text, std::size_t& taken);
  /// Queues close_notify.
  void close();

  /// The engine has bytes of its own to send.
  [[nodiscard]] bool has_control() const { return !control_.empty(); }
  [[nodiscard]] const tls::Engine& engine() const { return engine_; }
  [[nodiscard]] tls::Engine& engine() { return engine_; }

 private:
  template <class Step>
  Result<> with_outbox(Step step);

  tls::Engine engine_;
  std::string control_;
};

}  // namespace sluice::net
