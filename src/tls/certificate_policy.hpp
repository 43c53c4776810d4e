// What we ask of a peer's certificates beyond what wolfSSL does.
#pragma once

#include <cstdint>
#include <span>

namespace sluice::tls {

/// Judges one certificate (DER) of a peer's chain that wolfSSL has accepted. Returns why it is
/// refused after all, one static line, or nullptr:
/// - its signature is made with SHA-1 or MD5; that of a self-issued one, a root that a peer sends
/// along, does not count:
///   trust in it does not come from its signature;
/// - it is the peer's own (`is_leaf`) and has no DNS name or address among its alternative names:
/// wolfSSL would fall back
///   to the common name (RFC 9525 §2 forbids it).
/// Bytes that are no certificate are refused.
[[nodiscard]] const char* why_refused(std::span<const std::uint8_t> certificate, bool is_leaf);

}  // namespace sluice::tls
