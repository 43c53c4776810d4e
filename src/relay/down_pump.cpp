#include "down_pump.hpp"

#include <algorithm>
#include <cstring>

#include "scratch.hpp"

namespace sluice::relay {
namespace {

constexpr std::size_t kMaxQueuedPieces =
    24;  // of one send; framing needs the rest of Stream::kSendPieces
constexpr std::size_t kJoinedBytes = 2 * kKiB;
constexpr std::size_t kLateCommitBytes = 64 * kKiB;  // non-semantic events kept back at most

iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

BodyFraming client_framing(const PumpContext& context, bool streamed) {
  if (context.delivery.head_sent()) return context.delivery.framing();
  const ResponseFacts& response = context.response;
  if (!streamed && response.framing == http::Framing::length) return BodyFraming::length;
  if (response.framing == http::Framing::none) return BodyFraming::none;
  return context.request.http_1_0 ? BodyFraming::until_close : BodyFraming::chunked;
}

}  // namespace

DownPump::DownPump(const PumpContext& context, const Meter::Kind& meter_kind)
    : context_(context),
      meter_(meter_kind),
      decoder_(context.response.framing, context.response.content_length, UINT64_MAX,
               Source::upstream),
      framing_(client_framing(context, meter_.streamed())),
      until_close_(context.response.framing == http::Framing::until_close),
      last_received_ns_(context.services.reactor.now_ns()) {
  context_.upstream.fetch_with_piece(this, sizeof *this, &context_.client);
  if (context_.delivery.head_sent()) context_.response.forwarded.reset();
}

DownPump::~DownPump() { context_.upstream.fetch_with_piece(nullptr, 0, nullptr); }

Tokens DownPump::counted_output() const {
  const Tokens visible = meter_.counted_output();
  if (context_.hold == nullptr) return visible;
  const TimeNs elapsed_ns = context_.services.reactor.now_ns() - context_.sent_ns;
  return visible + context_.hold->hidden_tokens(elapsed_ns);
}

// ---- taking

// Meters one run of payload and moves what may be delivered to `to` (at or before `payload`).
// Returns its length.
std::size_t DownPump::meter_payload(char* payload, std::size_t bytes, char* to) {
  std::size_t kept = 0;
  while (bytes > 0) {
    const dialect::Fed fed = meter_.feed({payload, bytes});
    if (fed.held == dialect::Held::release) kept += release_held(to + kept);
    if (fed.held == dialect::Held::drop) held_.clear();
    if (fed.pass > 0 && to + kept != payload) std::memmove(to + kept, payload, fed.pass);
    kept += fed.pass;
    if (fed.hold > 0) {
      held_here_ = held_.empty() || held_here_;
      held_.append(payload + fed.pass + fed.drop, fed.hold);
    }
    semantic_ |= fed.semantic || fed.semantic_open;
    payload += fed.consumed;
    bytes -= fed.consumed;
  }
  return kept;
}

// Held bytes turned out to belong to the client after all: they go behind what was delivered before
// them. Bytes of this very piece go back to where they were; those of an earlier one become a piece
// of their own. Returns how many bytes were put at `to`.
std::size_t DownPump::release_held(char* to) {
  const std::string held = std::exchange(held_, {});
  if (held_here_) {
    std::memcpy(to, held.data(), held.size());
    return held.size();
  }
  queue_text(held);
  return 0;
}

void DownPump::queue_text(std::string_view text) {
  if (text.empty()) return;
  ring::Piece piece = ring::Piece::on_heap(text.size());
  std::memcpy(piece.data(), text.data(), text.size());
  queue_.push(std::move(piece));
  front_room_ = 0;
  back_room_ = 0;
}

void DownPump::queue_held() { queue_text(std::exchange(held_, {})); }

// Cuts the upstream's framing away within the piece and queues the payload: usually one run, that
// stays where it is; several runs are moved together.
Result<> DownPump::take(ring::Piece piece) {
  char* const begin = piece.data();
  held_here_ = false;
  std::size_t at = 0;
  std::size_t first =
      0;  // where the first run of payload begins: everything kept is moved up to it
  std::size_t kept = 0;
  bool any_payload = false;
  while (at < piece.size() && !decoder_.done()) {
    const Result<http::BodyStep> step =
        decoder_.next(std::span<const char>(begin + at, piece.size() - at));
    if (!step) return std::unexpected(step.error());
    if (!step->payload.empty()) {
      const auto offset = static_cast<std::size_t>(step->payload.data() - begin);
      if (!any_payload) first = offset;
      any_payload = true;
      kept += meter_payload(begin + offset, step->payload.size(), begin + first + kept);
    }
    if (step->consumed_bytes == 0) break;
    at += step->consumed_bytes;
  }
  // Bytes behind the end of the message: delivered as far as it goes, and the connection is not
  // used again.
  upstream_clean_ = decoder_.done() && at == piece.size();
  if (kept == 0) return {};
  front_room_ = first;
  back_room_ = at - first - kept;
  piece.drop_front(first);
  piece.truncate(kept);
  queue_.push(std::move(piece));
  return {};
}

// The provider serves: other requests may rely on it from now on.
void DownPump::note_first_token() {
  first_token_ns_ = last_received_ns_;
  context_.failover.succeeded(meter_.streamed() ? first_token_ns_ - context_.sent_ns : 0);
}

void DownPump::note_progress() {
  last_received_ns_ = context_.services.reactor.now_ns();
  if (semantic_ && first_token_ns_ == 0 && !meter_.failed()) note_first_token();
  if (context_.hold == nullptr) return;
  if (semantic_) context_.hold->note_phase(price::Phase::streaming);
  context_.hold->note_output(counted_output());
}

// Pieces that must wait for the first semantic event do not pin receive buffers.
void DownPump::keep_aside() {
  const std::size_t count = queue_.size();
  for (std::size_t i = 0; i < count; ++i) {
    ring::Piece piece = queue_.pop();
    if (piece.in_pool()) {
      ring::Piece copy = ring::Piece::on_heap(piece.size());
      std::memcpy(copy.data(), piece.data(), piece.size());
      piece = std::move(copy);
    }
    queue_.push(std::move(piece));
  }
  front_room_ = 0;
  back_room_ = 0;
}

// ---- sending

bool DownPump::may_send() const {
  if (context_.client_left) return false;
  return context_.delivery.begun() || !context_.commit_late || semantic_ ||
         queue_.bytes() > kLateCommitBytes;
}

// Some providers say with status 200, or as the first event of a stream, that they cannot: as long
// as nothing was delivered another one may, or the client can be told so by a status.
bool DownPump::was_refused() const {
  if (context_.delivery.begun() || !meter_.failed()) return false;
  return !meter_.streamed() || meter_.counted_output() == 0;
}

// Whether an answer is wanted that the client does not take any more.
bool DownPump::reads_on() const {
  return context_.drain_after_client && !(context_.read_on && context_.read_on->over());
}

void DownPump::drop_unwanted() {
  if (context_.read_on) {
    const Hold* const hold = context_.hold;
    context_.read_on->take(queue_.bytes(), counted_output(),
                           hold != nullptr ? &hold->terms() : nullptr);
  }
  queue_.clear();
}

// A short body that is there goes with its head, in one range: the kernel takes that faster than
// two, and the receive buffer is free at once.
bool DownPump::make_head() {
  const TimeNs now_ns = context_.services.reactor.clock().monotonic_ns();
  const TimeNs own_ns =
      (context_.sent_ns - context_.request.received_ns) + (now_ns - last_received_ns_);
  const bool joins = framing_ != BodyFraming::chunked && queue_.bytes() <= kJoinedBytes;
  Result<Body> head = context_.delivery.make_head(
      context_.response, framing_, std::max<TimeNs>(own_ns, 0), joins ? queue_.bytes() : 0);
  if (!head) return false;
  head_ = std::move(*head);
  context_.response.forwarded.reset();  // the head has them
  if (joins) {
    for (std::size_t i = 0; i < queue_.size(); ++i) {
      SLUICE_ASSERT(head_.append(queue_[i].view(), head_.capacity()));
    }
    queue_.clear();
  }
  return true;
}

// Lays out what is queued as pieces of one send. A single piece with room on both sides, which the
// upstream's own framing has left, gets ours in place: one contiguous send.
std::size_t DownPump::frame(std::span<iovec> pieces, bool last) {
  std::size_t count = 0;
  if (head_.size() > 0) pieces[count++] = piece_of(head_.view());
  const std::size_t payload = queue_.bytes();
  const bool chunked = framing_ == BodyFraming::chunked;
  bool tail_in_place = false;
  if (payload > 0) {
    std::size_t head_bytes = chunked ? http::write_chunk_head(chunk_head_, payload) : 0;
    const bool head_in_place =
        chunked && queue_.size() == 1 && front_room_ >= head_bytes && back_room_ >= 2;
    if (head_in_place) {
      char* const data = queue_[0].data();
      std::memcpy(data - head_bytes, chunk_head_.data(), head_bytes);
      std::memcpy(data + payload, http::kChunkTail.data(), http::kChunkTail.size());
      pieces[count++] = {data - head_bytes, head_bytes + payload + http::kChunkTail.size()};
      tail_in_place = true;
    } else {
      if (chunked) pieces[count++] = {chunk_head_.data(), head_bytes};
      for (std::size_t i = 0; i < queue_.size(); ++i) pieces[count++] = piece_of(queue_[i].view());
    }
  }
  if (chunked && payload > 0 && !tail_in_place) pieces[count++] = piece_of(http::kChunkTail);
  if (chunked && last) pieces[count++] = piece_of(http::kLastChunk);
  return count;
}

DownPump::Flush DownPump::flush(bool last) {
  if (!context_.delivery.head_sent() && !make_head()) return {*this, false, true};
  // Shared by all: the stream takes its own copy before anything else runs.
  auto& pieces = context_.services.scratch->pieces;
  const std::size_t count = frame(pieces, last);
  if (count == 0) return {*this, false, false};
  context_.delivery.note_begun();
  for (std::size_t i = 0; i < count; ++i) bytes_out_ += pieces[i].iov_len;
  static_cast<void>(context_.client.send(
      {pieces.data(), count}, context_.services.settings.write_stall_ns, &queue_));
  return {*this, true, false};
}

bool DownPump::Flush::await_ready() const {
  return !sends || net::Stream::SendAwaiter{pump.context_.client}.await_ready();
}

void DownPump::Flush::await_suspend(std::coroutine_handle<> waiter) const noexcept {
  net::Stream::SendAwaiter{pump.context_.client}.await_suspend(waiter);
}

bool DownPump::Flush::await_resume() const {
  if (!sends) return !failed;
  const bool well = net::Stream::SendAwaiter{pump.context_.client}.await_resume().has_value();
  pump.note_sent(well);
  return well;
}

void DownPump::note_sent(bool well) {
  queue_.clear();
  head_.reset();
  context_.delivery.note_sent(well);
}

// ---- running

TimeNs DownPump::next_deadline_ns() const {
  TimeNs deadline_ns = std::min(context_.total_deadline_ns, token_deadline_ns());
  if (meter_.streamed() && !context_.client_left) {
    deadline_ns = std::min(deadline_ns, context_.delivery.ping_due_ns());
  }
  return deadline_ns;
}

TimeNs DownPump::token_deadline_ns() const {
  return semantic_ ? last_received_ns_ + context_.between_tokens_ns
                   : context_.first_token_deadline_ns;
}

// Nothing came for a while, or the upstream ended: pings, or says how the pump ends.
ring::Task<std::optional<PumpEnd>> DownPump::on_silence(const Error& error) {
  if (context_.client_left && !reads_on()) co_return PumpEnd::client_left;
  if (context_.ended) co_return PumpEnd::ended;
  if (error.code == Errc::closed && decoder_.end_of_stream()) co_return std::nullopt;
  if (error.code != Errc::timed_out) co_return PumpEnd::upstream_broke;
  const TimeNs now_ns = context_.services.reactor.now_ns();
  if (now_ns >= context_.total_deadline_ns) co_return PumpEnd::timed_out;
  if (now_ns >= token_deadline_ns()) {
    timed_out_ = true;
    co_return PumpEnd::upstream_broke;
  }
  if (context_.hold != nullptr) {
    context_.hold->note_output(counted_output());
    if (context_.hold->exhausted()) co_return PumpEnd::cut;
  }
  // What is kept aside until the first semantic event has not begun any event of the client's.
  const bool between_events = !context_.delivery.begun() || (meter_.at_boundary() && held_.empty());
  if (between_events) {
    const Result<> sent = co_await context_.delivery.ping(&context_.response);
    context_.response.forwarded.reset();
    if (!sent && !reads_on()) co_return PumpEnd::client_left;
  } else {
    context_.delivery.put_off_ping();
  }
  co_return std::nullopt;
}

// Takes what has arrived, one piece at least. False: it makes no sense.
bool DownPump::take_all() {
  // Needed when it has been read.
  prefetch(context_.hold, sizeof *context_.hold);
  prefetch(&context_.delivery, sizeof context_.delivery);
  prefetch(&context_.client_left, sizeof context_.client_left);
  do {
    if (!take(context_.upstream.take_received())) return false;
  } while (!decoder_.done() && context_.upstream.has_received() &&
           queue_.size() < kMaxQueuedPieces);
  note_progress();
  if (meter_.streamed()) context_.upstream.delay_acknowledgements();
  return true;
}

// What it holds while it waits is held for every stream that is open.
ring::Task<PumpEnd> DownPump::run() {
  bool until_close_ended = false;
  while (!decoder_.done() && !until_close_ended) {
    if (const Result<> came = co_await context_.upstream.arrival(next_deadline_ns()); !came) {
      const std::optional<PumpEnd> ended = co_await on_silence(came.error());
      if (ended) co_return *ended;
    } else if (!take_all()) {
      co_return PumpEnd::upstream_broke;
    }
    until_close_ended = until_close_ && context_.upstream.end().code != Errc::none &&
                        !context_.upstream.has_received();
    if (was_refused()) co_return PumpEnd::refused;
    if (context_.hold != nullptr && context_.hold->exhausted() && !decoder_.done()) {
      co_return PumpEnd::cut;
    }
    if (context_.client_left) {
      drop_unwanted();
      if (!reads_on()) co_return PumpEnd::client_left;
      continue;
    }
    if (decoder_.done() || until_close_ended) break;
    if (!may_send()) {
      keep_aside();
    } else if (!queue_.empty()) {
      const bool sent = co_await flush(false);
      if (!sent && !reads_on()) co_return PumpEnd::client_left;
    }
  }
  queue_held();
  // A stream that its own format has not ended is not shown as a clean end.
  if (meter_.streamed() && !meter_.ended() && !meter_.failed()) co_return PumpEnd::upstream_broke;
  if (context_.client_left) co_return PumpEnd::client_left;
  const bool sent = co_await flush(true);
  co_return sent ? PumpEnd::finished : PumpEnd::client_left;
}

ring::Task<> DownPump::send_error_event(dialect::ErrorKind kind, std::string_view message) {
  context_.delivery.spoil();
  if (context_.client_left || !meter_.streamed()) co_return;
  queue_text(context_.delivery.error_event(kind, message, meter_.at_boundary()));
  // The body has no last chunk: a client that looks only at HTTP sees that it is not whole either.
  static_cast<void>(co_await flush(false));
}

}  // namespace sluice::relay
