// What TLS connections of one kind share: certificate and key of a listener, or the trusted
// authorities.
#pragma once

#include <expected>
#include <memory>
#include <string>

struct WOLFSSL_CTX;

namespace sluice::tls {

namespace detail {
struct ContextDeleter {
  void operator()(WOLFSSL_CTX* context) const noexcept;
};
using ContextHandle = std::unique_ptr<WOLFSSL_CTX, ContextDeleter>;
}  // namespace detail

class TicketKeys;

/// For accepted connections: TLS 1.3 and TLS 1.2 with ECDHE and AEAD only, X25519 first, session
/// tickets that are good for half a day, no renegotiation, no early data, ALPN "http/1.1".
///
/// Move-only. Engines keep the wolfSSL context alive by its reference count, so a reload makes a
/// new ServerContext and drops the old one while its connections go on. Thread: one (a shard's).
class ServerContext {
 public:
  /// Reads a PEM certificate chain (leaf first) and its PEM key. The error is one line for the
  /// operator: which file, what is wrong (missing, not PEM, key does not belong to the
  /// certificate). `tickets` outlives all engines of the context; without it tickets have keys of
  /// this context alone.
  [[nodiscard]] static std::expected<ServerContext, std::string> load(
      const std::string& certificate_file, const std::string& key_file,
      TicketKeys* tickets = nullptr);

 private:
  friend class Engine;
  explicit ServerContext(detail::ContextHandle handle) : handle_(std::move(handle)) {}
  detail::ContextHandle handle_;
};

/// For connections to upstreams: verifies chain and name, always; there is no way to turn that off.
/// Move-only, as ServerContext.
class ClientContext {
 public:
  /// Reads a PEM bundle of trusted authorities. The error is one line for the operator.
  [[nodiscard]] static std::expected<ClientContext, std::string> load(const std::string& ca_file);

 private:
  friend class Engine;
  explicit ClientContext(detail::ContextHandle handle) : handle_(std::move(handle)) {}
  detail::ContextHandle handle_;
};

}  // namespace sluice::tls
