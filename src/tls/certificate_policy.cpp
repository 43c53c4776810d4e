#include "certificate_policy.hpp"

#include <algorithm>
#include <optional>

namespace sluice::tls {
namespace {

using Bytes = std::span<const std::uint8_t>;

// Tags (X.690 §8.1.2; RFC 5280 §4.1, §4.2.1.6).
constexpr std::uint8_t kBoolean = 0x01;
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kOctets = 0x04;
constexpr std::uint8_t kOid = 0x06;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kVersion = 0xa0;
constexpr std::uint8_t kExtensions = 0xa3;
constexpr std::uint8_t kDnsName = 0x82;
constexpr std::uint8_t kAddress = 0x87;

/// Takes one element of that tag from the front of `der` (X.690 §8.1, lengths of at most three
/// bytes).
std::optional<Bytes> take(Bytes& der, std::uint8_t tag) {
  if (der.size() < 2 || der[0] != tag) return std::nullopt;
  std::size_t length = der[1];
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t bytes = length & 0x7fU;
    if (bytes == 0 || bytes > 3 || der.size() < 2 + bytes) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < bytes; ++i) length = length << 8U | der[2 + i];
    header += bytes;
  }
  if (der.size() - header < length) return std::nullopt;
  const Bytes content = der.subspan(header, length);
  der = der.subspan(header + length);
  return content;
}

bool is_weak(Bytes oid) {
  constexpr std::uint8_t md5_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04};
  constexpr std::uint8_t sha1_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05};
  constexpr std::uint8_t sha1_ecdsa[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01};
  return std::ranges::equal(oid, md5_rsa) || std::ranges::equal(oid, sha1_rsa) ||
         std::ranges::equal(oid, sha1_ecdsa);
}

/// The parts of a certificate that are judged (RFC 5280 §4.1).
struct Parts {
  Bytes signature_oid;
  Bytes issuer;
  Bytes subject;
  Bytes extensions;  ///< the list's content; empty without one
};

std::optional<Parts> split(Bytes certificate) {
  const auto outer = take(certificate, kSequence);
  if (!outer) return std::nullopt;
  Bytes rest = *outer;
  auto fields = take(rest, kSequence);
  auto algorithm = take(rest, kSequence);
  if (!fields || !algorithm) return std::nullopt;
  const auto oid = take(*algorithm, kOid);
  // version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, extensions
  take(*fields, kVersion);
  const auto serial = take(*fields, kInteger);
  const auto inner_algorithm = take(*fields, kSequence);
  const auto issuer = take(*fields, kSequence);
  const auto validity = take(*fields, kSequence);
  const auto subject = take(*fields, kSequence);
  const auto key = take(*fields, kSequence);
  if (!oid || !serial || !inner_algorithm || !issuer || !validity || !subject || !key)
    return std::nullopt;
  Parts parts{*oid, *issuer, *subject, {}};
  if (auto explicit_list = take(*fields, kExtensions)) {
    const auto list = take(*explicit_list, kSequence);
    if (!list) return std::nullopt;
    parts.extensions = *list;
  }
  return parts;
}

/// Whether the subject's alternative names hold a DNS name or an address (RFC 5280 §4.2.1.6).
bool names_a_host(Bytes extensions) {
  constexpr std::uint8_t alternative_names[] = {0x55, 0x1d, 0x11};
  while (auto extension = take(extensions, kSequence)) {
    const auto oid = take(*extension, kOid);
    if (!oid || !std::ranges::equal(*oid, alternative_names)) continue;
    take(*extension, kBoolean);
    auto value = take(*extension, kOctets);
    auto names = value ? take(*value, kSequence) : std::nullopt;
    while (names && !names->empty()) {
      const std::uint8_t tag = names->front();
      if (!take(*names, tag)) return false;
      if (tag == kDnsName || tag == kAddress) return true;
    }
  }
  return false;
}

}  // namespace

const char* why_refused(Bytes certificate, bool is_leaf) {
  const auto parts = split(certificate);
  if (!parts) return "certificate is malformed";
  if (is_weak(parts->signature_oid) && !std::ranges::equal(parts->issuer, parts->subject)) {
    return "certificate is signed with SHA-1 or MD5";
  }
  if (is_leaf && !names_a_host(parts->extensions))
    return "certificate names no host but by its common name";
  return nullptr;
}

}  // namespace sluice::tls
