#include "sluice/tls/context.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "certificate_policy.hpp"
#include "sluice/tls/ticket_keys.hpp"
#include "wire.hpp"
#include "wolfssl.hpp"

namespace sluice::tls {
namespace {

// AES-128-GCM first: with AES-NI it is the cheapest, and nothing offered is weaker than 128 bits.
constexpr const char* kCiphers =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// As long as a key that made a ticket is the newest (the supervisor rotates), and half of what it
// is good for.
constexpr int kTicketSeconds = 12 * 3600;

constexpr short kMinRsaBits = 2048;
constexpr short kMinEcBits = 256;

using Error = std::unexpected<std::string>;

std::string reason(int code) {
  return wolfSSL_ERR_reason_error_string(static_cast<unsigned long>(code));
}

/// Says in one line what is wrong with a file, or nothing if it can be read.
std::string why_unreadable(const std::string& file, std::string_view what) {
  if (file.empty()) return std::string(what) + ": no file is named";
  if (access(file.c_str(), R_OK) == 0) return {};
  return std::string(what) + " " + file + ": " + std::generic_category().message(errno);
}

/// Called by wolfSSL to encrypt or decrypt a session ticket in place; `keys` is a TicketKeys.
int protect_ticket(WOLFSSL* ssl, unsigned char* name, unsigned char* iv, unsigned char* mac,
                   int encrypt, unsigned char* ticket, int bytes, int* out_bytes, void* keys) {
  auto& with = *static_cast<TicketKeys*>(keys);
  const std::span<std::uint8_t, TicketKeys::kNameBytes> name_span(name, TicketKeys::kNameBytes);
  const std::span<std::uint8_t, TicketKeys::kIvBytes> iv_span(iv, TicketKeys::kIvBytes);
  const std::span<std::uint8_t, TicketKeys::kMacBytes> mac_span(mac, TicketKeys::kMacBytes);
  const std::span<std::uint8_t> body(ticket, static_cast<std::size_t>(bytes));
  *out_bytes = bytes;
  if (encrypt != 0) {
    return with.seal(name_span, iv_span, mac_span, body) ? WOLFSSL_TICKET_RET_OK
                                                         : WOLFSSL_TICKET_RET_FATAL;
  }
  switch (with.open(name_span, iv_span, mac_span, body)) {
    case TicketKeys::Opened::yes:
      return WOLFSSL_TICKET_RET_OK;
    case TicketKeys::Opened::with_old_key:
      // With TLS 1.3 the client gets a new one anyway, and wolfSSL takes this answer for a refusal.
      return wolfSSL_version(ssl) == TLS1_3_VERSION ? WOLFSSL_TICKET_RET_OK
                                                    : WOLFSSL_TICKET_RET_CREATE;
    case TicketKeys::Opened::no:
      break;
  }
  return WOLFSSL_TICKET_RET_REJECT;
}

/// Called by wolfSSL for each certificate of the peer's chain. It can refuse what wolfSSL would
/// accept, never the other way round: the verdict of wolfSSL is passed on.
int judge_certificate(int accepted, WOLFSSL_X509_STORE_CTX* chain) {
  if (accepted == 0) return 0;
  const int index = chain->error_depth;
  const char* refusal = "certificate chain is malformed";
  if (chain->certs != nullptr && index >= 0 && index < chain->totalCerts) {
    const WOLFSSL_BUFFER_INFO& certificate = chain->certs[index];
    refusal = why_refused({certificate.buffer, certificate.length}, index == 0);
  }
  if (refusal == nullptr) return 1;
  static_cast<detail::Wire*>(chain->userCtx)->refusal = refusal;
  return 0;
}

std::expected<detail::ContextHandle, std::string> make_context(WOLFSSL_METHOD* method) {
  static const int initialised = wolfSSL_Init();
  if (initialised != WOLFSSL_SUCCESS) return Error("wolfSSL cannot start: " + reason(initialised));
  detail::ContextHandle handle(wolfSSL_CTX_new(method));
  if (handle == nullptr) return Error("wolfSSL: out of memory for a context");
  WOLFSSL_CTX* const context = handle.get();

  std::array<int, 3> groups{WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
  const bool set = wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_2) == WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_set_cipher_list(context, kCiphers) == WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_set_groups(context, groups.data(),
                                          static_cast<int>(groups.size())) == WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_SetMinRsaKey_Sz(context, kMinRsaBits) == WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_SetMinEccKey_Sz(context, kMinEcBits) == WOLFSSL_SUCCESS;
  if (!set) return Error("wolfSSL was built without a group, cipher or version that is needed");
  // Tickets carry the session; a cache beside them would only grow.
  wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
  wolfSSL_CTX_SetIORecv(context, detail::read_from_wire);
  wolfSSL_CTX_SetIOSend(context, detail::write_to_wire);
  return handle;
}

}  // namespace

void detail::ContextDeleter::operator()(WOLFSSL_CTX* context) const noexcept {
  wolfSSL_CTX_free(context);
}

std::expected<ServerContext, std::string> ServerContext::load(const std::string& certificate_file,
                                                              const std::string& key_file,
                                                              TicketKeys* tickets) {
  auto handle = make_context(wolfTLS_server_method());
  if (!handle) return Error(handle.error());
  WOLFSSL_CTX* const context = handle->get();
  if (auto why = why_unreadable(certificate_file, "certificate"); !why.empty()) return Error(why);
  if (auto why = why_unreadable(key_file, "key"); !why.empty()) return Error(why);
  int result = wolfSSL_CTX_use_certificate_chain_file(context, certificate_file.c_str());
  if (result != WOLFSSL_SUCCESS) {
    return Error("certificate " + certificate_file + ": not a PEM certificate chain (" +
                 reason(result) + ")");
  }
  result = wolfSSL_CTX_use_PrivateKey_file(context, key_file.c_str(), WOLFSSL_FILETYPE_PEM);
  if (result != WOLFSSL_SUCCESS) {
    return Error("key " + key_file + ": not a PEM private key (" + reason(result) + ")");
  }
  if (wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS) {
    return Error("key " + key_file + ": does not belong to certificate " + certificate_file);
  }
  if (tickets != nullptr) {
    const bool set = wolfSSL_CTX_set_TicketEncCb(context, protect_ticket) == WOLFSSL_SUCCESS &&
                     wolfSSL_CTX_set_TicketEncCtx(context, tickets) == WOLFSSL_SUCCESS &&
                     wolfSSL_CTX_set_TicketHint(context, kTicketSeconds) == WOLFSSL_SUCCESS &&
                     wolfSSL_CTX_set_timeout(context, kTicketSeconds) == WOLFSSL_SUCCESS;
    if (!set) return Error("wolfSSL was built without session tickets");
  }
  // A client is never asked for a certificate.
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
  return ServerContext(std::move(*handle));
}

std::expected<ClientContext, std::string> ClientContext::load(const std::string& ca_file) {
  auto handle = make_context(wolfTLS_client_method());
  if (!handle) return Error(handle.error());
  if (auto why = why_unreadable(ca_file, "CA bundle"); !why.empty()) return Error(why);
  const int result = wolfSSL_CTX_load_verify_locations(handle->get(), ca_file.c_str(), nullptr);
  if (result != WOLFSSL_SUCCESS) {
    return Error("CA bundle " + ca_file + ": holds no usable PEM certificate (" + reason(result) +
                 ")");
  }
  wolfSSL_CTX_set_verify(handle->get(), WOLFSSL_VERIFY_PEER, judge_certificate);
  return ClientContext(std::move(*handle));
}

}  // namespace sluice::tls
