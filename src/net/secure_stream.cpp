// Stream with TLS between its socket and its users.
#include <sys/socket.h>

#include <utility>

#include "outgoing.hpp"
#include "secure_layer.hpp"
#include "sluice/net/stream.hpp"

namespace sluice::net {

// ---- receiving

void Stream::deliver_secured(ring::Piece piece) noexcept {
  if (end_.code != Errc::none) return;
  const Result<> fed = secure_->feed(std::move(piece), received_);
  if (!fed) {
    send_last_words();
    set_end(fed.error());
    return;
  }
  if (secure_->has_control() && !send_op_.in_flight()) send_secured();
  if (secure_->engine().state() == tls::State::peer_closed) {
    set_end({Errc::closed, peer_, Retry::no, 0});
  }
}

// The alert of an engine that failed. Who learns of the failure closes the connection in the same
// turn: on the ring the alert would come too late. When a send is in flight the peer has not read
// what came before, and is not waited for.
void Stream::send_last_words() noexcept {
  if (send_op_.in_flight()) return;
  const std::string alert = secure_->take_control();
  if (alert.empty()) return;
  [[maybe_unused]] const ssize_t sent =
      ::send(fd_, alert.data(), alert.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// ---- sending

void Stream::begin_secured_send() noexcept {
  // Also while the engine's own bytes are in flight, which the text waits for.
  arm_send_stall();
  if (!send_op_.in_flight()) send_secured();
}

// Sends the next ciphertext: what the engine has to say itself, then the text that waits. Ends the
// send when nothing is left.
void Stream::send_secured() noexcept {
  const std::span<const iovec> text = sending_ ? outgoing_->rest : std::span<const iovec>();
  std::size_t taken = 0;
  Result<ring::Piece> cipher = secure_->encrypt(text, taken);
  if (!cipher) {
    if (cipher.error().code == Errc::tls_failed) set_end(cipher.error());
    if (sending_) finish_send(std::unexpected(cipher.error()));
    return;
  }
  if (taken > 0) outgoing_->advance(taken);
  if (sending_ && outgoing_->rest.empty() && held_ != nullptr) {
    held_->clear();  // encrypted: the received bytes are not needed any more
    held_ = nullptr;
  }
  if (!cipher->empty()) {
    secure_->in_flight() = std::move(*cipher);
    start_secured_send();
    return;
  }
  if (!sending_) return;
  const bool stuck = !outgoing_->rest.empty();  // before the handshake is over: our mistake
  finish_send(stuck ? Result<>(fail(Errc::internal)) : Result<>());
}

void Stream::start_secured_send() noexcept {
  reactor_.start(send_op_, {.code = ring::OpCode::send,
                            .fd = fd_,
                            .address = secure_->in_flight().data(),
                            .length = static_cast<std::uint32_t>(secure_->in_flight().size()),
                            .msg_flags = MSG_NOSIGNAL});
}

void Stream::on_sent_secured(std::int32_t result) noexcept {
  if (result > 0) secure_->in_flight().drop_front(static_cast<std::size_t>(result));
  if (aborted_) {
    if (!sending_) return;
    const bool all_out = secure_->in_flight().empty() && outgoing_->rest.empty();
    finish_send(all_out ? Result<>() : Result<>(fail(Errc::cancelled)));
    return;
  }
  // Progress moves the deadline; an interruption does not.
  if (sending_ && result > 0) arm_send_stall();
  if (!secure_->in_flight().empty()) {
    start_secured_send();
    return;
  }
  secure_->in_flight().reset();
  send_secured();
  if (fin_after_send_ && !send_op_.in_flight()) shut_secured_send();
}

// close_notify behind what is under way, then the FIN.
void Stream::shut_secured_send() noexcept {
  fin_after_send_ = true;
  if (send_op_.in_flight()) return;
  if (secure_->close()) send_secured();
  if (!send_op_.in_flight()) ::shutdown(fd_, SHUT_WR);
}

// ---- the handshake

// Waits while the handshake is under way.
struct Stream::HandshakeAwaiter {
  Stream& stream;
  TimeNs deadline_ns;
  [[nodiscard]] bool await_ready() const noexcept {
    return stream.end_.code != Errc::none ||
           stream.secure_->engine().state() != tls::State::handshaking;
  }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    stream.arm_receive();
    stream.receive_waiter_ = waiter;
    stream.timed_out_ = false;
    stream.reactor_.timers().arm(stream.receive_timer_, deadline_ns);
  }
  void await_resume() const noexcept {}
};

ring::Task<Result<>> Stream::start_tls(tls::Engine engine, TimeNs deadline_ns) {
  SLUICE_ASSERT(!secure_ && !sending_);
  if (aborted_) co_return fail(Errc::cancelled);
  secure_ = std::make_unique<SecureLayer>(std::move(engine), peer_);
  // A server that has the client's first bytes already (received ahead) takes them now.
  ring::PieceQueue early;
  std::swap(early, received_);
  const Result<> begun = secure_->begin();
  if (!begun) co_return begun;
  if (secure_->has_control()) send_secured();
  while (!early.empty()) deliver(early.pop());
  timed_out_ = false;
  shaking_hands_ = true;
  while (end_.code == Errc::none && !timed_out_ &&
         secure_->engine().state() == tls::State::handshaking) {
    co_await HandshakeAwaiter{*this, deadline_ns};
  }
  shaking_hands_ = false;
  receive_timer_.disarm();
  if (end_.code != Errc::none && received_.empty()) co_return std::unexpected(end_);
  if (secure_->engine().state() == tls::State::handshaking) co_return fail(Errc::timed_out, peer_);
  co_return Result<>{};
}

std::string_view Stream::tls_failure() const {
  return secure_ ? secure_->failure() : std::string_view{};
}

}  // namespace sluice::net
