// TLS on one connection of the stand-in or the load driver: bytes in, bytes out, over the tls
// module's engine.
#pragma once

#include <string>
#include <string_view>

#include "sluice/tls/engine.hpp"

namespace sluice::mock {

class TlsChannel {
 public:
  explicit TlsChannel(tls::Engine engine) : engine_(std::move(engine)) {}

  /// Takes ciphertext; appends what it says to `plaintext` and what must be sent for it to `reply`.
  /// A client starts its handshake by calling this with nothing. False when the connection failed:
  /// send the reply (an alert) and close.
  [[nodiscard]] bool receive(std::string_view ciphertext, std::string& plaintext,
                             std::string& reply);

  /// Appends the ciphertext of `plaintext` to `out`. Only when open.
  void send(std::string_view plaintext, std::string& out);

  /// Appends close_notify to `out`.
  void close(std::string& out);

  [[nodiscard]] bool open() const { return engine_.state() == tls::State::open; }

 private:
  tls::Engine engine_;
  std::string waiting_;  ///< ciphertext of a record that is not whole yet
};

}  // namespace sluice::mock
