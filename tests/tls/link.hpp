// Two engines that talk through memory, with pieces and rooms of any size.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "certificates.hpp"
#include "sluice/tls/context.hpp"
#include "sluice/tls/engine.hpp"

namespace sluice::tls {

inline ServerContext server_context(const std::string& name) {
  const Certificates& certificates = Certificates::get();
  auto context =
      ServerContext::load(certificates.path(name + ".pem"), certificates.path(name + ".key"));
  if (!context) throw std::runtime_error(context.error());
  return std::move(*context);
}

inline ClientContext client_context(const std::string& ca = "ca") {
  auto context = ClientContext::load(Certificates::get().path(ca + ".pem"));
  if (!context) throw std::runtime_error(context.error());
  return std::move(*context);
}

/// One side: an engine, the ciphertext on its way to it, and what it has received.
struct Side {
  explicit Side(Engine made, std::size_t outbox_bytes)
      : engine(std::move(made)), memory(outbox_bytes) {
    out.room = memory;
  }

  /// Gives at most `piece` bytes of what arrived to the engine. Returns whether anything moved.
  bool step(std::size_t piece, std::size_t plaintext_room) {
    const std::size_t given = std::min(piece, arrived.size());
    // Exactly the bytes that exist, so that AddressSanitizer sees a read beyond them.
    const std::unique_ptr<char[]> exact(new char[given]);
    arrived.copy(exact.get(), given);
    std::vector<char> plaintext(plaintext_room);
    const auto received = engine.receive({exact.get(), given}, plaintext, out);
    if (!received) return false;
    arrived.erase(0, received->consumed_bytes);
    text.append(plaintext.data(), received->plaintext_bytes);
    return received->consumed_bytes + received->plaintext_bytes > 0;
  }

  Engine engine;
  std::vector<char> memory;
  Outbox out;
  std::string arrived;
  std::string text;
};

struct Link {
  Link(const ServerContext& server_side, const ClientContext& client_side,
       const std::string& host = "good.test", std::size_t outbox_bytes = 64 * 1024)
      : client(Engine::client(client_side, host).value(), outbox_bytes),
        server(Engine::server(server_side).value(), outbox_bytes) {}

  /// Moves what is in the outboxes. Returns whether anything was.
  bool carry() {
    const bool moved = client.out.used + server.out.used > 0;
    server.arrived.append(client.out.pending().data(), client.out.used);
    client.arrived.append(server.out.pending().data(), server.out.used);
    carried += client.out.used + server.out.used;
    client.out.used = server.out.used = 0;
    return moved;
  }

  /// Runs until nothing moves any more.
  void run(std::size_t piece = SIZE_MAX, std::size_t plaintext_room = 4096) {
    for (int quiet = 0; quiet < 3;) {
      bool moved = client.step(piece, plaintext_room);
      moved |= server.step(piece, plaintext_room);
      moved |= carry();
      quiet = moved ? 0 : quiet + 1;
    }
  }

  [[nodiscard]] bool open() const {
    return client.engine.state() == State::open && server.engine.state() == State::open;
  }

  Side client;
  Side server;
  std::size_t carried = 0;
};

/// Sends all of the text, carrying and running in between. False if the engine stops taking it.
inline bool send_all(Link& link, Side& from, const std::string& text,
                     std::size_t piece = SIZE_MAX) {
  std::size_t at = 0;
  for (int idle = 0; at < text.size() && idle < 100;) {
    const auto sent = from.engine.send(std::span<const char>(text).subspan(at), from.out);
    if (!sent) return false;
    at += *sent;
    idle = *sent == 0 ? idle + 1 : 0;
    link.run(piece);
  }
  return at == text.size();
}

}  // namespace sluice::tls
