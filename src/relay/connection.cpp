#include "sluice/relay/connection.hpp"

#include <utility>

#include "exchange.hpp"
#include "head_reader.hpp"
#include "refusal.hpp"
#include "sluice/http/status.hpp"

namespace sluice::relay {
namespace {

// After an answer that ends the connection, what the client still sends is read and dropped this
// long: a close with unread bytes would reset the connection and lose the answer.
constexpr TimeNs kLingerNs = kSecond;
constexpr std::size_t kLingerBytes = 256 * kKiB;

ring::Task<> linger(Services& services, net::Stream& client) {
  client.shutdown_send();
  const TimeNs deadline_ns = services.reactor.now_ns() + kLingerNs;
  std::size_t dropped = 0;
  while (dropped < kLingerBytes) {
    const Result<ring::Piece> piece = co_await client.receive(deadline_ns);
    if (!piece) break;
    dropped += piece->size();
  }
}

/// Suspends until a time, or the end of the connection.
class Pause {
 public:
  Pause(net::Stream& stream, TimeNs until_ns)
      : stream_(stream), until_ns_(until_ns), timer_(&Pause::on_time, this) {}
  [[nodiscard]] bool await_ready() const noexcept { return stream_.end().code != Errc::none; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    stream_.reactor().timers().arm(timer_, until_ns_);
    stream_.watch_end(&Pause::on_end, this);
  }
  void await_resume() noexcept { stream_.watch_end(nullptr, nullptr); }

 private:
  static void on_time(ring::Timer&, void* context) { static_cast<Pause*>(context)->wake(); }
  static void on_end(void* context, const Error&) { static_cast<Pause*>(context)->wake(); }
  void wake() noexcept {
    if (waiter_) stream_.reactor().ready(std::exchange(waiter_, nullptr));
  }

  net::Stream& stream_;
  TimeNs until_ns_;
  ring::Timer timer_;
  std::coroutine_handle<> waiter_;
};

static_assert(AdmissionQueue::kLongestRestNs < kShedRetryS * kSecond,
              "who comes back when it was told to waits no longer");

// What a client sends in the meantime is not looked at. Of its own, so that only connections that
// wait have room for it.
ring::Task<> hold_off(net::Stream& client, TimeNs until_ns) { co_await Pause(client, until_ns); }

ring::Task<> refuse_head(Services& services, net::Stream& client, const Error& error,
                         dialect::Format format) {
  RequestHeadFacts nobody;
  nobody.route.format = format;
  nobody.secure = client.secure();
  nobody.id = next_request_id(services);
  nobody.received_ns = services.reactor.now_ns();
  nobody.received_realtime_ns = services.reactor.realtime_ns();
  services.count(Counter::protocol_errors);
  const bool usable = co_await send_refusal(services, client, nobody, refusal_of(error), false);
  static_cast<void>(usable);
}

}  // namespace

void end_request(Client& client) {
  if (client.exchange != nullptr) client.exchange->end();
}

// One coroutine for the whole connection: what it keeps, it keeps for every stream that is open.
ring::Task<> serve_connection(Services& services, Client& client) {
  net::Stream& stream = *client.stream;
  services.count(Counter::connections);
  bool lingers = true;
  for (std::uint32_t served = 0; served < services.settings.requests_per_connection; ++served) {
    dialect::Format format = dialect::Format::openai;
    RequestHeadFacts head;
    const Result<> read = co_await read_head(services, stream, head, format);
    if (!read) {
      lingers = !has_left(read.error());
      if (lingers) co_await refuse_head(services, stream, read.error(), format);
      break;
    }
    if (served + 1 == services.settings.requests_per_connection) head.keep_alive = false;
    bool reusable = false;
    bool shed = false;
    {
      Exchange exchange(services, client, head);
      client.exchange = &exchange;
      if (co_await exchange.admit()) co_await exchange.serve();
      reusable = exchange.reusable();
      shed = exchange.shed();
    }
    client.exchange = nullptr;
    client.idle_since_ns = services.reactor.now_ns();
    // An answer that began before the drain has promised to keep the connection: the next one will
    // say that it ends.
    if (!reusable || services.hurried) break;
    if (!shed) continue;
    const TimeNs now_ns = services.reactor.now_ns();
    const TimeNs rest_ns = services.admission.note_refusal(now_ns);
    if (rest_ns > 0) co_await hold_off(stream, now_ns + rest_ns);
  }
  if (lingers && stream.end().code == Errc::none) co_await linger(services, stream);
  co_await stream.close();
}

}  // namespace sluice::relay
