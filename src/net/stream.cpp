#include "sluice/net/stream.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "outgoing.hpp"
#include "secure_layer.hpp"
#include "socket_error.hpp"

namespace sluice::net {
namespace {

constexpr std::uint32_t kDelaysACall = 32;
constexpr TimeNs kStallLookShare = 8;

}  // namespace

Stream::Stream(ring::Reactor& reactor, int fd, Source peer)
    : reactor_(reactor),
      fd_(fd),
      peer_(peer),
      receive_op_(&Stream::on_receive, this),
      send_op_(&Stream::on_send, this),
      buffer_user_(&Stream::on_buffers_back, &Stream::on_buffer_pressure, this),
      receive_timer_(&Stream::on_receive_deadline, this),
      send_timer_(&Stream::on_send_stall, this) {
  reactor_.keep(fd_);
}

Stream::~Stream() { SLUICE_ASSERT(fd_ < 0); }

// ---- receiving

void Stream::arm_receive() noexcept {
  if (receive_op_.in_flight() || buffer_user_.waiting() || end_.code != Errc::none || aborted_)
    return;
  if (received_.bytes() >= credit_ / 2 || received_.size() >= kReceivePieces / 2) return;
  const auto room = static_cast<std::uint32_t>(credit_ - received_.bytes());
  reactor_.start(receive_op_, {.code = ring::OpCode::recv_multishot, .fd = fd_, .length = room});
}

// Asks for the end of the receive, once: completions that are on their way still come.
void Stream::pause_receive() noexcept {
  if (receive_stopping_) return;
  receive_stopping_ = true;
  reactor_.cancel(receive_op_);
}

void Stream::on_receive(void* context, const ring::Completion& completion) {
  Stream& self = *static_cast<Stream*>(context);
  if (!completion.more) self.receive_stopping_ = false;
  ring::Piece piece;
  if (completion.has_buffer) piece = self.reactor_.buffers().take(completion);
  if (self.aborted_) {
    // Nobody wants it; a sender that goes on is not read on.
    if (completion.more) self.pause_receive();
  } else if (completion.result > 0) {
    self.deliver(std::move(piece));
    if (!completion.more) {
      self.arm_receive();
    } else if (self.received_.bytes() >= self.credit_ || self.received_.size() >= kReceivePieces) {
      self.pause_receive();
    }
    // Bytes of TLS may be a part of a record, or a ticket: nothing that receive() could give.
    if (self.has_received() || self.shaking_hands_) self.wake_receiver();
    if (self.watch_bytes_ && self.has_received() && self.end_watcher_ != nullptr) {
      self.end_watcher_(self.end_context_, self.end_);
    }
  } else if (completion.result == 0) {
    self.on_peer_fin();
  } else if (completion.result == -ENOBUFS) {
    self.reactor_.count_starved_receive();
    self.reactor_.buffers().wait_for_buffers(self.buffer_user_);
  } else if (completion.result == -ECANCELED || completion.result == -EINTR ||
             completion.result == -EAGAIN) {
    // Reading was stopped for lack of room; it may have been made meanwhile.
    self.arm_receive();
  } else {
    self.set_end(error_of(-completion.result, self.peer_));
  }
  self.finish_close_if_idle();
}

// Received bytes on their way to receive(): as they are, or through TLS.
void Stream::deliver(ring::Piece piece) noexcept {
  if (secure_) {
    deliver_secured(std::move(piece));
    return;
  }
  received_.push(std::move(piece));
  if (!receive_waiter_) reactor_.buffers().note_kept(buffer_user_);
}

void Stream::on_peer_fin() noexcept {
  Error end{Errc::closed, peer_, Retry::no, 0};
  if (secure_) {
    // Without close_notify somebody may have cut the connection: what was received may not be
    // whole.
    const Result<> whole = secure_->engine().end_of_stream();
    if (!whole) end = whole.error();
  }
  // The kernel tells of a reset once: when the send was told, or we gave it up, this end is not an
  // orderly one.
  if (send_broke_) end.code = Errc::reset;
  if (send_timed_out_) end = {Errc::timed_out, peer_, Retry::no, 0};
  set_end(end);
}

// Others have no buffer to receive into: what waits here is put together on the heap.
void Stream::on_buffer_pressure(void* context) {
  Stream& self = *static_cast<Stream*>(context);
  if (self.received_.empty()) return;
  ring::Piece copy = ring::Piece::on_heap(self.received_.bytes());
  char* to = copy.data();
  while (!self.received_.empty()) {
    const ring::Piece piece = self.received_.pop();
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  self.received_.push(std::move(copy));
  self.arm_receive();
}

void Stream::on_buffers_back(void* context) { static_cast<Stream*>(context)->arm_receive(); }

void Stream::on_receive_deadline(ring::Timer&, void* context) {
  Stream& self = *static_cast<Stream*>(context);
  if (!self.receive_waiter_) return;
  self.timed_out_ = true;
  self.wake_receiver();
}

void Stream::wake_receiver() noexcept {
  if (!receive_waiter_) return;
  prefetch(fetched_, fetched_bytes_);
  if (sent_on_ != nullptr) prefetch(sent_on_, sizeof *sent_on_);
  reactor_.ready(std::exchange(receive_waiter_, nullptr));
}

void Stream::set_end(const Error& end) noexcept {
  if (end_.code != Errc::none) return;
  end_ = aborted_ ? Error{Errc::cancelled, Source::self, Retry::no, 0} : end;
  wake_receiver();
  if (end_watcher_ != nullptr) end_watcher_(end_context_, end_);
}

bool Stream::ArrivalAwaiter::await_ready() const noexcept {
  if (!stream.received_.empty() || stream.end_.code != Errc::none) return true;
  stream.arm_receive();
  return false;
}

void Stream::ArrivalAwaiter::await_suspend(std::coroutine_handle<> waiter) noexcept {
  SLUICE_ASSERT(!stream.receive_waiter_);
  stream.receive_waiter_ = waiter;
  stream.timed_out_ = false;
  if (deadline_ns > 0) {
    stream.reactor_.timers().arm(stream.receive_timer_, deadline_ns);
  } else {
    stream.receive_timer_.disarm();
  }
}

Result<> Stream::ArrivalAwaiter::await_resume() noexcept {
  if (!stream.received_.empty()) return {};
  if (stream.end_.code != Errc::none) return std::unexpected(stream.end_);
  SLUICE_ASSERT(stream.timed_out_);
  return fail(Errc::timed_out, stream.peer_);
}

Result<ring::Piece> Stream::ReceiveAwaiter::await_resume() noexcept {
  if (const Result<> came = ArrivalAwaiter::await_resume(); !came) {
    return std::unexpected(came.error());
  }
  ring::Piece piece = stream.take_received();
  stream.arm_receive();
  return piece;
}

void Stream::unread(ring::Piece rest) {
  if (rest.empty()) return;
  if (received_.empty()) {
    received_.push(std::move(rest));
    return;
  }
  ring::PieceQueue later;
  std::swap(later, received_);
  received_.push(std::move(rest));
  while (!later.empty()) received_.push(later.pop());
  reactor_.buffers().note_kept(buffer_user_);
}

// ---- sending

Stream::SendAwaiter Stream::send(std::span<const iovec> pieces, TimeNs stall_ns,
                                 ring::PieceQueue* held) {
  SLUICE_ASSERT(!sending_ && !pieces.empty() && pieces.size() <= kSendPieces);
  if (aborted_ || (end_.code != Errc::none && end_.code != Errc::closed)) {
    send_result_ =
        std::unexpected(aborted_ ? Error{Errc::cancelled, Source::self, Retry::no, 0} : end_);
    return {*this};
  }
  outgoing_.reset(Outgoing::make(pieces));
  held_ = held;
  stall_ns_ = stall_ns;
  sending_ = true;
  if (secure_) {
    begin_secured_send();
    return {*this};
  }
  // The first attempt does not wait in the kernel: a slow peer is noticed at once.
  start_send(false);
  return {*this};
}

void Stream::start_send(bool may_wait) noexcept {
  Outgoing& out = *outgoing_;
  const std::uint32_t flags = MSG_NOSIGNAL | (may_wait ? 0U : std::uint32_t{MSG_DONTWAIT});
  ring::Submission submission{.code = ring::OpCode::send, .fd = fd_, .msg_flags = flags};
  if (out.rest.size() == 1) {
    submission.address = out.rest.front().iov_base;
    submission.length = static_cast<std::uint32_t>(out.rest.front().iov_len);
  } else {
    out.header.msg_iov = out.rest.data();
    out.header.msg_iovlen = out.rest.size();
    submission.code = ring::OpCode::sendmsg;
    submission.address = &out.header;
  }
  reactor_.start(send_op_, submission);
}

void Stream::on_send(void* context, const ring::Completion& completion) {
  Stream& self = *static_cast<Stream*>(context);
  const bool again =
      !self.connecting_ && (completion.result == -EAGAIN || completion.result == -EINTR);
  if (completion.result < 0 && !again) {
    Error error = self.connecting_ ? connect_error_of(-completion.result, self.peer_)
                                   : error_of(-completion.result, self.peer_);
    if (!self.connecting_ && error.code == Errc::reset) self.send_broke_ = true;
    if (self.send_timed_out_) {
      error = {Errc::timed_out, self.peer_, self.connecting_ ? Retry::yes : Retry::no, 0};
    }
    if (self.aborted_) error = {Errc::cancelled, Source::self, Retry::no, 0};
    if (self.secure_ && !self.connecting_) self.secure_->break_sending(error);
    if (self.sending_) self.finish_send(std::unexpected(error));
  } else if (self.secure_ && !self.connecting_) {
    self.on_sent_secured(completion.result);
  } else {
    if (completion.result > 0) self.outgoing_->advance(static_cast<std::size_t>(completion.result));
    if (!self.connecting_ && self.outgoing_->rest.empty()) {
      self.finish_send({});  // all is out, also when an abort came meanwhile
    } else if (self.aborted_) {
      self.finish_send(fail(Errc::cancelled));
    } else if (self.connecting_) {
      self.finish_send({});
    } else {
      if (self.held_ != nullptr) {
        self.outgoing_->set_aside();
        std::exchange(self.held_, nullptr)->clear();
      }
      // Progress moves the deadline; an interruption does not.
      if (completion.result > 0 || !self.send_timer_.armed()) {
        self.arm_send_stall();
      }
      self.start_send(true);
    }
  }
  self.finish_close_if_idle();
}

// What the kernel has taken and the peer has not. A kernel that has taken megabytes for a slow
// reader tells of room when much of them is gone: until then this alone shows that the peer reads.
std::size_t Stream::unacknowledged() const noexcept {
  int bytes = 0;
  return ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

// The first look comes when the send has lasted a while: most never need one.
void Stream::arm_send_stall() noexcept {
  outgoing_->unacknowledged = SIZE_MAX;
  reactor_.timers().arm(send_timer_, reactor_.now_ns() + stall_ns_ / kStallLookShare);
}

void Stream::on_send_stall(ring::Timer&, void* context) {
  Stream& self = *static_cast<Stream*>(context);
  if (!self.sending_) return;
  if (self.outgoing_) {
    const std::size_t now = self.unacknowledged();
    if (now < std::exchange(self.outgoing_->unacknowledged, now)) {
      self.reactor_.timers().arm(self.send_timer_, self.reactor_.now_ns() + self.stall_ns_);
      return;
    }
  }
  self.send_timed_out_ = true;
  self.interrupt_send();
}

// Makes a send or connect in flight end soon. A connect does not end by shutdown.
void Stream::interrupt_send() noexcept {
  if (connecting_) {
    reactor_.cancel(send_op_);
  } else {
    ::shutdown(fd_, SHUT_RDWR);
  }
}

void Stream::finish_send(Result<> result) noexcept {
  sending_ = false;
  connecting_ = false;
  send_timer_.disarm();
  if (secure_) secure_->in_flight().reset();
  held_ = nullptr;
  outgoing_.reset();
  send_result_ = result;
  if (send_waiter_) reactor_.ready(std::exchange(send_waiter_, nullptr));
}

ring::Task<Result<>> Stream::connect(const Address& address, TimeNs deadline_ns) {
  SLUICE_ASSERT(!sending_);
  if (aborted_) co_return fail(Errc::cancelled);
  sending_ = true;
  connecting_ = true;
  reactor_.timers().arm(send_timer_, deadline_ns);
  reactor_.start(send_op_, {.code = ring::OpCode::connect,
                            .fd = fd_,
                            .address = address.raw(),
                            .length = address.bytes});
  co_return co_await SendAwaiter{*this};
}

void Stream::delay_acknowledgements() noexcept {
  if (delays_++ % kDelaysACall != 0) return;
  const int off = 0;
  setsockopt(fd_, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
}

// ---- ending

void Stream::abort() noexcept {
  if (aborted_ || fd_ < 0) return;
  aborted_ = true;
  interrupt_send();
  buffer_user_.leave();
  // A receive in flight would end by itself; one that is paused would not.
  set_end({Errc::cancelled, Source::self, Retry::no, 0});
  received_.clear();
}

void Stream::shutdown_send() noexcept {
  if (fd_ < 0 || aborted_) return;
  if (secure_) {
    shut_secured_send();
  } else {
    ::shutdown(fd_, SHUT_WR);
  }
}

Stream::CloseAwaiter Stream::close() noexcept {
  end_watcher_ = nullptr;
  abort();
  return {*this};
}

bool Stream::CloseAwaiter::await_ready() const noexcept {
  return !stream.receive_op_.in_flight() && !stream.send_op_.in_flight();
}

void Stream::CloseAwaiter::await_resume() const noexcept {
  SLUICE_ASSERT(await_ready());
  stream.receive_timer_.disarm();
  stream.send_timer_.disarm();
  if (stream.fd_ < 0) return;
  stream.reactor_.forget(stream.fd_);
  ::close(std::exchange(stream.fd_, -1));
}

void Stream::finish_close_if_idle() noexcept {
  if (close_waiter_ && !receive_op_.in_flight() && !send_op_.in_flight()) {
    reactor_.ready(std::exchange(close_waiter_, nullptr));
  }
}

}  // namespace sluice::net
