#include "sluice/net/proxy.hpp"

namespace sluice::net {
namespace {

std::unexpected<Error> proxy_error(Error error) {
  if (error.code == Errc::closed || error.code == Errc::truncated) error.code = Errc::proxy_failed;
  error.retry = Retry::yes;
  return std::unexpected(error);
}

}  // namespace

ring::Task<Result<>> open_tunnel(Stream& stream, ProxyHandshake& handshake, TimeNs deadline_ns) {
  while (!handshake.done()) {
    if (const std::string_view out = handshake.outgoing(); !out.empty()) {
      const iovec piece{const_cast<char*>(out.data()), out.size()};
      const TimeNs left_ns = deadline_ns - stream.reactor().now_ns();
      if (left_ns <= 0) co_return fail(Errc::timed_out, Source::upstream, Retry::yes);
      const Result<> sent = co_await stream.send({&piece, 1}, left_ns);
      if (!sent) co_return proxy_error(sent.error());
      handshake.sent();
    }
    Result<ring::Piece> received = co_await stream.receive(deadline_ns);
    if (!received) co_return proxy_error(received.error());
    const Result<std::size_t> used = handshake.take(received->view());
    if (!used) co_return std::unexpected(used.error());
    // Nobody has spoken to the target yet: what is behind the proxy's own words is not from there.
    if (*used != received->size()) {
      co_return fail(Errc::proxy_failed, Source::upstream, Retry::yes);
    }
  }
  co_return Result<>{};
}

}  // namespace sluice::net
