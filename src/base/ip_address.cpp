#include "sluice/base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice {
namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool IpAddress::is_v4() const {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin());
}

std::optional<IpAddress> ip_from_bytes(std::span<const std::uint8_t> bytes) {
  IpAddress out;
  if (bytes.size() == 4) {
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), out.bytes.begin());
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin() + 12);
  } else if (bytes.size() == 16) {
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  } else {
    return std::nullopt;
  }
  return out;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  // inet_pton takes exactly the two forms; the numbers-with-less-than-four-parts forms of inet_aton
  // are how filters get bypassed.
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size()) return std::nullopt;
  std::memcpy(buffer.data(), text.data(), text.size());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, buffer.data(), bytes.data()) == 1)
    return ip_from_bytes(std::span(bytes).first(4));
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) == 1) return ip_from_bytes(bytes);
  return std::nullopt;
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (!address.is_v4()) {
    inet_ntop(AF_INET6, address.bytes.data(), buffer.data(), buffer.size());
    return buffer.data();
  }
  // Not by inet_ntop, which goes through printf: each access record has one.
  char* at = buffer.data();
  for (std::size_t i = 12; i < 16; ++i) {
    if (i > 12) *at++ = '.';
    at = std::to_chars(at, buffer.data() + buffer.size(), address.bytes[i]).ptr;
  }
  return {buffer.data(), at};
}

IpAddress customer_network(const IpAddress& address) {
  IpAddress network = address;
  if (!address.is_v4()) std::fill(network.bytes.begin() + 8, network.bytes.end(), 0);
  return network;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned prefix = v4 ? 32 : 128;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value > prefix)
      return std::nullopt;
    prefix = value;
  }
  Cidr out{*address, static_cast<std::uint8_t>(v4 ? prefix + 96 : prefix)};
  for (unsigned bit = out.prefix; bit < 128; ++bit) {
    if ((out.network.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  }
  return out;
}

bool contains(const Cidr& network, const IpAddress& address) {
  const unsigned whole = network.prefix / 8;
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole,
                  network.network.bytes.begin()))
    return false;
  const unsigned rest = network.prefix % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xffU << (8 - rest) & 0xffU;
  return ((address.bytes[whole] ^ network.network.bytes[whole]) & mask) == 0;
}

}  // namespace sluice
