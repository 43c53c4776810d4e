#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "sluice/net/proxy.hpp"

namespace sluice::net {
namespace {

constexpr std::size_t kMostName = 255;    // of a host, a user and a password in SOCKS5
constexpr std::size_t kStatusBytes = 13;  // "HTTP/1.1 200" and what follows it

// RFC 1928 §3 and §6, RFC 1929 §2.
constexpr char kSocksVersion = 5;
constexpr char kLoginVersion = 1;
constexpr char kNoLogin = 0;
constexpr char kLogin = 2;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view socks_failure(unsigned char reply) {
  switch (reply) {
    case 1:
      return "the proxy failed (SOCKS5 reply 1)";
    case 2:
      return "the proxy's rules do not allow it (SOCKS5 reply 2)";
    case 3:
      return "the proxy cannot reach the network (SOCKS5 reply 3)";
    case 4:
      return "the proxy cannot reach the host (SOCKS5 reply 4)";
    case 5:
      return "the host refused the proxy's connection (SOCKS5 reply 5)";
    case 6:
      return "the proxy's packets expired (SOCKS5 reply 6)";
    case 7:
      return "the proxy does not know CONNECT (SOCKS5 reply 7)";
    case 8:
      return "the proxy does not take this kind of address (SOCKS5 reply 8)";
    default:
      return "the proxy gave a SOCKS5 reply that means nothing";
  }
}

}  // namespace

// Credentials stood here.
ProxyHandshake::~ProxyHandshake() { explicit_bzero(out_.data(), out_.size()); }

Result<ProxyHandshake> ProxyHandshake::make(ProxyProtocol protocol, const ProxyTarget& target) {
  const bool sane = !target.host.empty() && target.host.size() <= kMostName &&
                    printable(target.host) && target.port != 0;
  ProxyHandshake made;
  const bool written = sane && (protocol == ProxyProtocol::connect ? made.write_connect(target)
                                                                   : made.write_socks(target));
  if (!written) return fail(Errc::bad_value);
  return made;
}

bool ProxyHandshake::put(std::string_view text) {
  if (text.size() > out_.size() - written_) return false;
  std::memcpy(out_.data() + written_, text.data(), text.size());
  written_ = static_cast<std::uint16_t>(written_ + text.size());
  return true;
}

// RFC 4648 §4.
bool ProxyHandshake::put_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < text.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, text.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < count ? static_cast<unsigned char>(text[at + i]) : 0U);
    }
    char group[4];
    for (std::size_t i = 0; i < 4; ++i) {
      group[i] = i <= count ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
    }
    if (!put({group, sizeof group})) return false;
  }
  return true;
}

bool ProxyHandshake::write_connect(const ProxyTarget& target) {
  const bool v6 = target.host.find(':') != std::string_view::npos;
  std::string authority = v6 ? "[" : "";
  authority.append(target.host).append(v6 ? "]:" : ":").append(std::to_string(target.port));
  bool fits = put("CONNECT ") && put(authority) && put(" HTTP/1.1\r\nHost: ") && put(authority) &&
              put("\r\n");
  if (!target.credentials.empty()) {
    // RFC 7617 §2: a user name has no colon; controls would end the line.
    const bool sane = target.credentials.find(':') != std::string_view::npos &&
                      std::ranges::none_of(target.credentials, [](char c) {
                        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
                      });
    fits = fits && sane && put("Proxy-Authorization: Basic ") && put_base64(target.credentials) &&
           put("\r\n");
  }
  fits = fits && put("\r\n");
  out_end_ = written_;
  step_ = Step::answer;
  return fits;
}

bool ProxyHandshake::write_socks(const ProxyTarget& target) {
  const auto put_byte = [this](std::size_t value) {
    const char byte = static_cast<char>(value);
    return put({&byte, 1});
  };
  const auto put_counted = [&](std::string_view text) {
    return !text.empty() && text.size() <= kMostName && put_byte(text.size()) && put(text);
  };
  const bool logs_in = !target.credentials.empty();
  bool fits = put_byte(kSocksVersion) && put_byte(logs_in ? 2 : 1) && put_byte(kNoLogin);
  if (logs_in) fits = fits && put_byte(kLogin);
  greeting_end_ = written_;
  if (logs_in) {
    const std::size_t colon = target.credentials.find(':');
    fits = fits && colon != std::string_view::npos && put_byte(kLoginVersion) &&
           put_counted(target.credentials.substr(0, colon)) &&
           put_counted(target.credentials.substr(colon + 1));
  }
  login_end_ = written_;
  const std::string host(target.host);
  std::array<char, 16> address{};
  fits = fits && put_byte(kSocksVersion) && put_byte(1) && put_byte(0);
  if (inet_pton(AF_INET, host.c_str(), address.data()) == 1) {
    fits = fits && put_byte(1) && put({address.data(), 4});
  } else if (inet_pton(AF_INET6, host.c_str(), address.data()) == 1) {
    fits = fits && put_byte(4) && put({address.data(), 16});
  } else {
    fits = fits && put_byte(3) && put_counted(host);
  }
  fits = fits && put_byte(std::size_t{target.port} >> 8) && put_byte(target.port & 0xFFU);
  out_end_ = greeting_end_;
  step_ = Step::method;
  return fits;
}

void ProxyHandshake::sent() { out_begin_ = out_end_; }

std::unexpected<Error> ProxyHandshake::fail_with(std::string_view why) {
  failure_ = why;
  return fail(Errc::proxy_failed, Source::upstream, Retry::yes);
}

Result<std::size_t> ProxyHandshake::take(std::span<const char> bytes) {
  if (done() || !outgoing().empty()) return 0;
  return step_ == Step::answer ? take_answer(bytes) : take_socks(bytes);
}

// Of the answer only its status matters, and where it ends. Content-Length and Transfer-Encoding
// mean nothing in it.
Result<std::size_t> ProxyHandshake::take_answer(std::span<const char> bytes) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  std::size_t used = 0;
  while (used < bytes.size() && line_end_ < kEnd.size()) {
    const char c = bytes[used++];
    if (taken_ < kStatusBytes) message_[taken_] = c;
    if (++taken_ > kAnswerBytes) return fail_with("the proxy's answer is too long");
    if (c == kEnd[line_end_]) {
      ++line_end_;
    } else if (c == '\n' || c == '\0' || line_end_ == 1 || line_end_ == 3) {
      return fail_with("the proxy's answer is not HTTP");
    } else {
      line_end_ = 0;
    }
    if (taken_ == kStatusBytes) {
      const std::string_view line(message_.data(), kStatusBytes);
      const bool http = (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
                        is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                        (line[12] == ' ' || line[12] == '\r');
      if (!http) return fail_with("the proxy's answer is not HTTP");
      if (line.substr(9, 3) == "407") return fail_with("the proxy wants other credentials (407)");
      if (line[9] != '2') return fail_with("the proxy refused the connection");
    }
  }
  if (line_end_ == kEnd.size()) {
    if (taken_ < kStatusBytes) return fail_with("the proxy's answer is not HTTP");
    step_ = Step::done;
  }
  return used;
}

/// Length of the message that is being taken, as far as its start tells.
std::size_t ProxyHandshake::socks_message_bytes() const {
  if (step_ != Step::reply) return 2;
  if (taken_ < 5) return 5;
  switch (message_[3]) {
    case 1:
      return 4 + 4 + 2;
    case 3:
      return std::size_t{4 + 1 + 2} + static_cast<unsigned char>(message_[4]);
    default:
      return 4 + 16 + 2;
  }
}

Result<std::size_t> ProxyHandshake::take_socks(std::span<const char> bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && outgoing().empty() && !done()) {
    message_[taken_++] = bytes[used++];
    if (step_ == Step::reply && taken_ <= 4) {
      if (message_[0] != kSocksVersion) return fail_with("the proxy does not speak SOCKS5");
      if (taken_ > 1 && message_[1] != 0)
        return fail_with(socks_failure(static_cast<unsigned char>(message_[1])));
      if (taken_ == 4 && message_[3] != 1 && message_[3] != 3 && message_[3] != 4)
        return fail_with("the proxy's reply has an address of an unknown kind");
    }
    if (taken_ < socks_message_bytes()) continue;
    if (const Result<> understood = on_socks_message(); !understood)
      return std::unexpected(understood.error());
    taken_ = 0;
  }
  return used;
}

Result<> ProxyHandshake::on_socks_message() {
  const bool can_log_in = login_end_ != greeting_end_;
  switch (step_) {
    case Step::method:
      if (message_[0] != kSocksVersion) return fail_with("the proxy does not speak SOCKS5");
      if (message_[1] == kLogin && can_log_in) {
        out_end_ = login_end_;
        step_ = Step::login;
        return {};
      }
      if (message_[1] != kNoLogin) return fail_with("the proxy wants another way to log in");
      out_begin_ = login_end_;
      break;
    case Step::login:
      if (message_[0] != kLoginVersion || message_[1] != 0)
        return fail_with("the proxy does not accept the credentials");
      break;
    default:
      step_ = Step::done;
      return {};
  }
  out_end_ = written_;
  step_ = Step::reply;
  return {};
}

}  // namespace sluice::net
