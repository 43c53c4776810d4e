#include "attempt.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <cstring>
#include <string>

#include "sluice/base/log.hpp"
#include "sluice/net/proxy.hpp"
#include "sluice/tls/context.hpp"
#include "sluice/tls/engine.hpp"

namespace sluice::relay {
namespace {

// An end that was on its way meets the request within a round trip; a provider that worked on the
// request and failed takes longer.
constexpr TimeNs kStaleNs = kSecond;
// Of the provider's bytes that wait, and as much again that a slow client is taking: with all else
// less than 64 KiB a stream.
constexpr std::uint32_t kAheadBytes = 24 * kKiB;

net::Address socket_address(const state::PinnedAddress& pinned) {
  net::Address address;
  if (pinned.family == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(pinned.port);
    std::memcpy(&v4->sin_addr, pinned.bytes.data(), 4);
    address.bytes = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(pinned.port);
    std::memcpy(&v6->sin6_addr, pinned.bytes.data(), 16);
    address.bytes = sizeof *v6;
  }
  return address;
}

int open_socket(const net::Address& address) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return fd;
}

}  // namespace

ring::Task<Result<>> Attempt::connect(const UpstreamTarget& target, const Timeouts& timeouts) {
  const TimeNs deadline_ns = services_.reactor.now_ns() + timeouts.connect_ns;
  const state::ChannelEntry& channel = target.channel;
  const bool proxied = channel.proxy != state::ProxyKind::none;
  const auto addresses = target.snapshot.addresses->find(
      target.snapshot.catalog->text(proxied ? channel.proxy_host : channel.host),
      proxied ? channel.proxy_port : channel.port);
  Error last{Errc::unreachable, Source::upstream, Retry::yes, 0};
  for (const state::PinnedAddress& pinned : addresses) {
    const net::Address address = socket_address(pinned);
    const int fd = open_socket(address);
    if (fd < 0) co_return fail(Errc::full, Source::self, Retry::yes);
    stream_ = std::make_unique<net::Stream>(services_.reactor, fd, Source::upstream);
    stream_->set_receive_credit(kAheadBytes);
    services_.count(Counter::upstream_connects);
    Result<> connected = co_await stream_->connect(address, deadline_ns);
    if (connected && proxied) connected = co_await pass_proxy(target, deadline_ns);
    if (connected && channel.scheme == state::Scheme::https) {
      connected = co_await shake_hands(target, services_.reactor.now_ns() + timeouts.tls_ns);
    }
    if (connected) {
      connected_ns_ = services_.reactor.now_ns();
      co_return Result<>{};
    }
    last = connected.error();
    services_.pool.discard(std::move(stream_));
    if (aborted_) co_return fail(Errc::cancelled);
  }
  co_return std::unexpected(last);
}

// In a frame of its own: a connection that needs no proxy does not pay for it.
ring::Task<Result<>> Attempt::pass_proxy(const UpstreamTarget& target, TimeNs deadline_ns) {
  const state::ChannelEntry& channel = target.channel;
  const state::Catalog& catalog = *target.snapshot.catalog;
  const auto place = static_cast<std::size_t>(&channel - catalog.channels().data());
  const auto& opened = target.snapshot.proxy_credentials;
  const std::string_view credentials = place < opened.size() ? opened[place] : std::string_view{};
  if (credentials.empty() && channel.proxy_credentials.bytes != 0) {
    note_failure(target, "proxy", "its credentials were not sealed to this edge's key");
    co_return fail(Errc::proxy_failed, Source::upstream, Retry::yes);
  }
  const bool socks = channel.proxy == state::ProxyKind::socks5;
  Result<net::ProxyHandshake> handshake = net::ProxyHandshake::make(
      socks ? net::ProxyProtocol::socks5 : net::ProxyProtocol::connect,
      {.host = catalog.text(channel.host), .port = channel.port, .credentials = credentials});
  if (!handshake) {
    note_failure(target, "proxy", "its protocol cannot carry the credentials");
    co_return fail(Errc::proxy_failed, Source::upstream, Retry::yes);
  }
  const Result<> passed = co_await net::open_tunnel(*stream_, *handshake, deadline_ns);
  if (!passed && !aborted_) {
    const std::string_view why = handshake->failure();
    note_failure(target, "proxy", why.empty() ? to_string(passed.error().code) : why);
  }
  co_return passed;
}

ring::Task<Result<>> Attempt::shake_hands(const UpstreamTarget& target, TimeNs deadline_ns) {
  const std::string_view host = target.snapshot.catalog->text(target.channel.host);
  Result<tls::Engine> engine = tls::Engine::client(*target.snapshot.tls, host);
  if (!engine) co_return std::unexpected(engine.error());
  const Result<> shaken = co_await stream_->start_tls(std::move(*engine), deadline_ns);
  if (!shaken && !stream_->tls_failure().empty())
    note_failure(target, "TLS", stream_->tls_failure());
  co_return shaken;
}

// Each request may fail so: the operator hears of a channel once in a while.
void Attempt::note_failure(const UpstreamTarget& target, std::string_view what,
                           std::string_view why) {
  const auto left_out =
      services_.providers.connect_faults.take(target.channel.id, services_.reactor.now_ns());
  if (!left_out) return;
  const state::Catalog& catalog = *target.snapshot.catalog;
  std::string line(catalog.text(target.channel.name));
  line.append(" (").append(catalog.text(target.channel.host)).append("): ").append(what);
  line.append(": ").append(why);
  if (*left_out > 0) {
    line.append("; ").append(std::to_string(*left_out)).append(" more since the last line");
  }
  log_line(LogLevel::warning, "relay", line);
}

// The up pump: it runs beside the reader of the answer.
ring::Task<> Attempt::send_request() {
  const Result<> sent =
      co_await stream_->send(upstream_request_->pieces(), services_.settings.write_stall_ns);
  upstream_request_.reset();
  if (!sent) co_return;
  sent_all_ = true;
  if (hold_ != nullptr) hold_->note_phase(price::Phase::sent);
}

Result<> Attempt::prepare(const UpstreamTarget& target, const dialect::EditList& edits) {
  upstream_request_ = std::make_unique<UpstreamRequest>();
  return upstream_request_->build(services_, request_, edits, target);
}

ring::Task<Result<>> Attempt::start(const UpstreamTarget& target, const Timeouts& timeouts,
                                    bool fresh) {
  key_ = {.endpoint = target.channel.id, .generation = target.snapshot.pool_generation};
  if (hold_ != nullptr) hold_->begin_attempt(target.channel.id);
  if (!fresh) stream_ = services_.pool.take(key_);
  reused_ = stream_ != nullptr;
  if (reused_) {
    services_.count(Counter::upstream_reuses);
  } else {
    const Result<> connected = co_await connect(target, timeouts);
    if (!connected) co_return std::unexpected(connected.error());
  }
  if (aborted_) co_return fail(Errc::cancelled);
  // Stored before the first byte is handed to the kernel: a reaper charges what may have been sent.
  if (hold_ != nullptr) hold_->note_phase(price::Phase::sending);
  sent_any_ = true;
  sent_ns_ = services_.reactor.clock().monotonic_ns();
  sender_.spawn(send_request());
  co_return Result<>{};
}

ring::Task<Result<ResponseFacts>> Attempt::read_head(TimeNs deadline_ns) {
  return read_response_head(services_, *stream_, request_.head.method, slow_head_, deadline_ns);
}

bool Attempt::is_stale(const Error& error) const {
  const bool ended = error.code == Errc::closed || error.code == Errc::reset ||
                     error.code == Errc::truncated;  // TLS without close_notify
  return reused_ && ended && !slow_head_ && services_.reactor.now_ns() - sent_ns_ < kStaleNs;
}

void Attempt::abort() noexcept {
  aborted_ = true;
  if (stream_) stream_->abort();
}

ring::Task<> Attempt::finish(bool reusable) {
  if (!stream_) co_return;
  if (!reusable || !sent_all_ || aborted_) stream_->abort();
  co_await sender_.join();
  if (reusable && sent_all_ && !aborted_) {
    services_.pool.put(key_, std::move(stream_));
  } else {
    services_.pool.discard(std::move(stream_));
  }
}

}  // namespace sluice::relay
