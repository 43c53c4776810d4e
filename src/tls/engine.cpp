#include "sluice/tls/engine.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "sluice/base/assert.hpp"
#include "sluice/tls/context.hpp"
#include "wire.hpp"
#include "wolfssl.hpp"

namespace sluice::tls {
namespace {

constexpr std::string_view kAlpn = "http/1.1";
// Each key update that a peer asks for costs us a key schedule and 27 bytes to send, which a peer
// that never reads leaves to whoever holds the outbox. An honest one needs an update in 2^24
// records (RFC 8446 §5.5): this allows 606 in a row.
constexpr std::size_t kMaxControlBytes = 16 * 1024;
constexpr int kFlooded = -1;  // no error number of wolfSSL's

constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035 §2.3.4, without the final dot

std::size_t put(std::span<const char> bytes, Outbox& out) {
  const std::size_t count = std::min(bytes.size(), out.free_bytes());
  if (count > 0) std::memcpy(out.room.data() + out.used, bytes.data(), count);
  out.used += count;
  return count;
}

/// Lends the caller's spans to wolfSSL for the length of one call.
class Lent {
 public:
  Lent(WOLFSSL* ssl, detail::Wire& wire) : ssl_(ssl) {
    wolfSSL_SetIOReadCtx(ssl, &wire);
    wolfSSL_SetIOWriteCtx(ssl, &wire);
    wolfSSL_SetCertCbCtx(ssl, &wire);
  }
  ~Lent() {
    wolfSSL_SetIOReadCtx(ssl_, nullptr);
    wolfSSL_SetIOWriteCtx(ssl_, nullptr);
    wolfSSL_SetCertCbCtx(ssl_, nullptr);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  WOLFSSL* ssl_;
};

/// A peer's name as wolfSSL compares it with a certificate.
struct PeerName {
  std::array<char, kMaxHostBytes + 1> text{};
  std::size_t bytes = 0;
  bool is_address = false;
};

/// Labels of letters, digits, "-" and "_", none empty: no "*", and nothing that a pattern's "*"
/// could match as an empty label.
bool is_dns_name(std::string_view name) {
  bool label_is_empty = true;
  for (const char c : name) {
    if (c == '.') {
      if (label_is_empty) return false;
      label_is_empty = true;
      continue;
    }
    const char lower = static_cast<char>(c | 0x20);
    if ((c < '0' || c > '9') && (lower < 'a' || lower > 'z') && c != '-' && c != '_') return false;
    label_is_empty = false;
  }
  return !label_is_empty;
}

Result<PeerName> make_peer_name(std::string_view host) {
  if (host.ends_with('.'))
    host.remove_suffix(1);  // SNI and names in certificates have no final dot
  if (host.empty() || host.size() > kMaxHostBytes) return fail(Errc::bad_value);
  PeerName name;
  name.bytes = host.copy(name.text.data(), kMaxHostBytes);
  in6_addr v6{};
  in_addr v4{};
  if (inet_pton(AF_INET6, name.text.data(), &v6) == 1) {
    // wolfSSL compares text and writes the addresses of a certificate out in full.
    int filled = 0;
    for (std::size_t group = 0; group < 8; ++group) {
      filled += std::snprintf(name.text.data() + filled, 6, "%02X%02X%s", v6.s6_addr[2 * group],
                              v6.s6_addr[2 * group + 1], group < 7 ? ":" : "");
    }
    name.bytes = static_cast<std::size_t>(filled);
    name.is_address = true;
  } else if (inet_pton(AF_INET, name.text.data(), &v4) == 1) {
    name.is_address = true;
  } else if (!is_dns_name(host)) {
    return fail(Errc::bad_value);
  }
  return name;
}

bool use_alpn(WOLFSSL* ssl, unsigned char on_mismatch) {
  std::array<char, kAlpn.size() + 1>
      list{};  // wolfSSL takes a comma-separated list that it may write to
  kAlpn.copy(list.data(), kAlpn.size());
  return wolfSSL_UseALPN(ssl, list.data(), static_cast<unsigned>(kAlpn.size()), on_mismatch) ==
         WOLFSSL_SUCCESS;
}

}  // namespace

int detail::read_from_wire(WOLFSSL*, char* to, int bytes, void* wire) {
  auto& in = static_cast<Wire*>(wire)->in;
  if (in.empty()) return WOLFSSL_CBIO_ERR_WANT_READ;
  const std::size_t count = std::min(in.size(), static_cast<std::size_t>(bytes));
  std::memcpy(to, in.data(), count);
  in = in.subspan(count);
  return static_cast<int>(count);
}

// wolfSSL counts a record that it was told to hold back towards the next write, whatever that write
// is: so it is never told to. What does not fit the outbox waits in the engine; Engine::receive and
// send stop until it is gone.
int detail::write_to_wire(WOLFSSL*, char* from, int bytes, void* wire) {
  auto& lent = *static_cast<Wire*>(wire);
  lent.written_bytes += static_cast<std::size_t>(bytes);
  const std::span<const char> record(from, static_cast<std::size_t>(bytes));
  const std::size_t placed = lent.spill->empty() ? put(record, *lent.out) : 0;
  if (placed < record.size()) lent.spill->append(record.data() + placed, record.size() - placed);
  return bytes;
}

void Engine::Deleter::operator()(WOLFSSL* ssl) const noexcept { wolfSSL_free(ssl); }

Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::server(const ServerContext& context) {
  Handle handle(wolfSSL_new(context.handle_.get()));
  // A client that offers other protocols only is told so; one that offers none is served.
  if (handle == nullptr || !use_alpn(handle.get(), WOLFSSL_ALPN_FAILED_ON_MISMATCH))
    return fail(Errc::full);
  return Engine(std::move(handle), Source::client);
}

Result<Engine> Engine::client(const ClientContext& context, std::string_view host) {
  const auto name = make_peer_name(host);
  if (!name) return std::unexpected(name.error());
  Handle handle(wolfSSL_new(context.handle_.get()));
  if (handle == nullptr || !use_alpn(handle.get(), WOLFSSL_ALPN_CONTINUE_ON_MISMATCH))
    return fail(Errc::full);
  // Checked inside the handshake, against DNS names or IP addresses of the certificate.
  if (wolfSSL_check_domain_name(handle.get(), name->text.data()) != WOLFSSL_SUCCESS)
    return fail(Errc::full);
  if (!name->is_address &&  // RFC 6066 §3: no literal addresses in SNI
      wolfSSL_UseSNI(handle.get(), WOLFSSL_SNI_HOST_NAME, name->text.data(),
                     static_cast<unsigned short>(name->bytes)) != WOLFSSL_SUCCESS) {
    return fail(Errc::full);
  }
  return Engine(std::move(handle), Source::upstream);
}

std::unexpected<Error> Engine::failed(int code) {
  if (state_ != State::failed) {
    state_ = State::failed;
    failure_code_ = code;
  }
  return fail(Errc::tls_failed, peer_);
}

bool Engine::drain_spill(Outbox& out) {
  if (spill_.empty()) return true;
  const std::size_t placed = put(spill_, out);
  if (placed < spill_.size()) {
    spill_.erase(0, placed);
    return false;
  }
  std::string().swap(spill_);  // it is rarely needed: give the memory back
  return true;
}

Result<> Engine::handshake() {
  const int result = wolfSSL_negotiate(handle_.get());
  if (result == WOLFSSL_SUCCESS) {
    state_ = State::open;
    char* name = nullptr;
    unsigned short bytes = 0;
    alpn_agreed_ = wolfSSL_ALPN_GetProtocol(handle_.get(), &name, &bytes) == WOLFSSL_SUCCESS &&
                   std::string_view(name, bytes) == kAlpn;
    return {};
  }
  const int code = wolfSSL_get_error(handle_.get(), result);
  if (code == WOLFSSL_ERROR_WANT_READ) return {};
  return failed(code);
}

Result<Received> Engine::receive(std::span<const char> ciphertext, std::span<char> plaintext,
                                 Outbox& out) {
  if (!drain_spill(out)) return Received{};
  if (state_ == State::failed) return fail(Errc::tls_failed, peer_);
  detail::Wire wire{ciphertext, &out, &spill_};
  const Lent lent(handle_.get(), wire);
  Received received;
  if (state_ == State::handshaking) {
    const auto step = handshake();
    refusal_ = wire.refusal;
    if (!step) return std::unexpected(step.error());
  }
  const std::size_t handshake_bytes = wire.written_bytes;
  while (state_ == State::open && spill_.empty() && received.plaintext_bytes < plaintext.size()) {
    const std::span<char> room = plaintext.subspan(received.plaintext_bytes);
    const int result =
        wolfSSL_read(handle_.get(), room.data(), static_cast<int>(std::min(room.size(), kMaxRead)));
    if (result > 0) {
      received.plaintext_bytes += static_cast<std::size_t>(result);
      continue;
    }
    const int code = wolfSSL_get_error(handle_.get(), result);
    if (code == WOLFSSL_ERROR_ZERO_RETURN) {
      state_ = State::peer_closed;
    } else if (code != WOLFSSL_ERROR_WANT_READ) {
      return failed(code);
    } else {
      break;
    }
  }
  if (is_flooded(wire.written_bytes - handshake_bytes, received.plaintext_bytes)) {
    return failed(kFlooded);
  }
  received.consumed_bytes = ciphertext.size() - wire.in.size();
  return received;
}

bool Engine::is_flooded(std::size_t written_bytes, std::size_t plaintext_bytes) {
  control_bytes_ += written_bytes;
  control_bytes_ -= std::min(control_bytes_, plaintext_bytes);
  return control_bytes_ > kMaxControlBytes;
}

bool Engine::has_more() const {
  return !spill_.empty() || (state_ == State::open && wolfSSL_pending(handle_.get()) > 0);
}

Result<std::size_t> Engine::send(std::span<const char> plaintext, Outbox& out) {
  if (state_ == State::failed) return fail(Errc::tls_failed, peer_);
  if (close_sent_) return fail(Errc::closed, Source::self);
  if (state_ == State::handshaking || !drain_spill(out)) return 0U;
  detail::Wire wire{{}, &out, &spill_};
  const Lent lent(handle_.get(), wire);
  std::size_t sent = 0;
  while (sent < plaintext.size() && out.free_bytes() > kRecordOverhead) {
    const std::size_t count = std::min(
        {plaintext.size() - sent, kMaxRecordPlaintext, out.free_bytes() - kRecordOverhead});
    const int result =
        wolfSSL_write(handle_.get(), plaintext.data() + sent, static_cast<int>(count));
    if (result <= 0) return failed(wolfSSL_get_error(handle_.get(), result));
    SLUICE_ASSERT(static_cast<std::size_t>(result) == count && spill_.empty());
    sent += count;
  }
  return sent;
}

void Engine::close(Outbox& out) {
  if (close_sent_ || state_ == State::failed) return;
  close_sent_ = true;
  if (state_ == State::handshaking) return;  // nothing was promised yet
  drain_spill(out);
  detail::Wire wire{{}, &out, &spill_};
  const Lent lent(handle_.get(), wire);
  // The result says whether the peer has answered, which receive() finds out by itself.
  static_cast<void>(wolfSSL_shutdown(handle_.get()));
}

Result<> Engine::end_of_stream() {
  switch (state_) {
    case State::peer_closed:
      return {};
    case State::open:
      return fail(Errc::truncated, peer_);
    case State::handshaking:
      return failed(SOCKET_PEER_CLOSED_E);
    case State::failed:
      break;
  }
  return fail(Errc::tls_failed, peer_);
}

std::string_view Engine::failure() const {
  if (state_ != State::failed) return {};
  if (refusal_ != nullptr) return refusal_;
  switch (failure_code_) {
    case kFlooded:
      return "peer asks for key updates without end";
    case ASN_NO_SIGNER_E:
      return "certificate is not signed by a trusted authority";
    case ASN_SELF_SIGNED_E:
      return "certificate is self-signed and not trusted";
    case DOMAIN_NAME_MISMATCH:
      return "certificate is for another name";
    case ASN_AFTER_DATE_E:
      return "certificate has expired";
    case ASN_BEFORE_DATE_E:
      return "certificate is not valid yet";
    case VERSION_ERROR:
      return "peer offers no TLS version of 1.2 or above";
    case UNKNOWN_ALPN_PROTOCOL_NAME_E:
      return "peer offers other application protocols only";
    case SOCKET_PEER_CLOSED_E:
      return "peer closed the connection during the handshake";
    default:
      return wolfSSL_ERR_reason_error_string(static_cast<unsigned long>(failure_code_));
  }
}

std::string_view Engine::alpn() const { return alpn_agreed_ ? kAlpn : std::string_view{}; }
std::string_view Engine::version() const {
  return state_ == State::handshaking ? std::string_view{} : wolfSSL_get_version(handle_.get());
}
std::string_view Engine::cipher() const {
  const char* const name =
      state_ == State::handshaking ? nullptr : wolfSSL_get_cipher(handle_.get());
  return name == nullptr ? std::string_view{} : name;
}
bool Engine::resumed() const { return wolfSSL_session_reused(handle_.get()) == 1; }

}  // namespace sluice::tls
