// Stream: one TCP connection on a reactor, plain or TLS behind the same interface.
//
// Lifecycle: made around a descriptor; receive() and send() are awaited by one coroutine each;
// abort() ends all waiting at once; co_await close() joins every operation and only then closes the
// descriptor. A stream that was not closed must not be destroyed. Owner: the connection or the
// pool. Thread: its reactor's.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/net/address.hpp"
#include "sluice/ring/piece_queue.hpp"
#include "sluice/ring/reactor.hpp"
#include "sluice/ring/task.hpp"

namespace sluice::tls {
class Engine;
}

namespace sluice::net {

class SecureLayer;

class Stream {
 public:
  /// Most pieces of one send.
  static constexpr std::size_t kSendPieces = 32;
  /// Received bytes that may wait to be taken before reading stops; it goes on at half of it.
  static constexpr std::size_t kReceiveCredit = 64 * 1024;
  /// Less than that, from the next receive on: what is received here is kept a second time while a
  /// slow peer of somebody else's takes it.
  void set_receive_credit(std::uint32_t bytes) noexcept { credit_ = bytes; }
  /// The same for pieces: a sender of single bytes would take a buffer with each.
  static constexpr std::size_t kReceivePieces = 64;

  /// Called once when the peer has ended or broken the connection, or abort() was called: not from
  /// within receive() or send(). `end` says how.
  using EndWatcher = void (*)(void* context, const Error& end);

  /// Takes ownership of `fd`. `peer` says who errors are attributed to.
  Stream(ring::Reactor& reactor, int fd, Source peer);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  struct ArrivalAwaiter {
    Stream& stream;
    TimeNs deadline_ns;
    [[nodiscard]] bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    Result<> await_resume() noexcept;
  };
  struct ReceiveAwaiter : ArrivalAwaiter {
    Result<ring::Piece> await_resume() noexcept;
  };
  /// The next bytes, never empty. Errors: closed (the peer ended in order), reset, timed_out (at
  /// the monotonic `deadline_ns`; 0 = none; the stream stays usable), cancelled (abort); with TLS
  /// also truncated (the peer ended without close_notify) and tls_failed.
  [[nodiscard]] ReceiveAwaiter receive(TimeNs deadline_ns) noexcept {
    return {{*this, deadline_ns}};
  }
  /// Waits like receive() and with its errors; the bytes stay here, for take_received(). What a
  /// coroutine awaits lies in its frame: this is smaller.
  [[nodiscard]] ArrivalAwaiter arrival(TimeNs deadline_ns) noexcept { return {*this, deadline_ns}; }

  /// Bytes that receive() would give without waiting.
  [[nodiscard]] bool has_received() const noexcept { return !received_.empty(); }
  /// The oldest of these bytes (has_received() is true). Unlike receive() it asks for no more in
  /// their place: that does whoever waits next.
  [[nodiscard]] ring::Piece take_received() noexcept { return received_.pop(); }
  /// Puts the unread rest of a piece back in front (only right after receive()).
  void unread(ring::Piece rest);

  struct SendAwaiter {
    Stream& stream;
    [[nodiscard]] bool await_ready() const noexcept { return stream.send_op_idle_result(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { stream.send_waiter_ = waiter; }
    Result<> await_resume() noexcept { return stream.send_result_; }
  };
  /// Sends all of `pieces` (1 to kSendPieces, none empty) in order. The bytes stay valid until the
  /// result. When the peer is slow and `held` is given, the rest is copied aside and `held`
  /// emptied, so that receive buffers are not pinned by a slow reader. Fails with timed_out after
  /// `stall_ns` (to an eighth more) in which the peer has acknowledged nothing. One send at a time.
  [[nodiscard]] SendAwaiter send(std::span<const iovec> pieces, TimeNs stall_ns,
                                 ring::PieceQueue* held = nullptr);

  /// For a peer that streams, with each piece taken: every second of its small segments is
  /// acknowledged, not each as it is read, which takes an eighth of what a relayed chunk costs.
  /// Linux does so by itself once a socket has shown to be of a conversation, and stops when an
  /// acknowledgement has waited for 40 ms: it is asked again every 32nd time.
  void delay_acknowledgements() noexcept;

  /// Ends the connection now: waiting calls finish with Errc::cancelled. Harmless when repeated.
  void abort() noexcept;
  /// Tells the peer that nothing more will be sent: close_notify with TLS, behind a send that is
  /// under way, and FIN.
  void shutdown_send() noexcept;

  struct CloseAwaiter {
    Stream& stream;
    [[nodiscard]] bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> waiter) noexcept { stream.close_waiter_ = waiter; }
    void await_resume() const noexcept;
  };
  /// Aborts, waits until no operation is in flight, closes the descriptor.
  [[nodiscard]] CloseAwaiter close() noexcept;

  /// Connects an unconnected socket; `address` stays valid meanwhile. Errors: refused, unreachable,
  /// timed_out, cancelled.
  [[nodiscard]] ring::Task<Result<>> connect(const Address& address, TimeNs deadline_ns);

  /// Puts TLS between the socket and receive()/send(), and shakes hands. Before anything was
  /// received or sent. Errors: tls_failed (failure() says why), timed_out, closed, cancelled.
  [[nodiscard]] ring::Task<Result<>> start_tls(tls::Engine engine, TimeNs deadline_ns);
  /// start_tls() was called: what is received and sent goes through TLS.
  [[nodiscard]] bool secure() const noexcept { return secure_ != nullptr; }
  /// Why TLS failed, one line for the operator; empty when it did not.
  [[nodiscard]] std::string_view tls_failure() const;

  /// Starts receiving ahead of the first receive() (an idle connection notices its end).
  void start_receiving() noexcept { arm_receive(); }
  /// Memory that whoever receives touches for each piece, and the stream that it sends on: asked
  /// for when one arrives (see prefetch.hpp). Null = nothing any more.
  void fetch_with_piece(const void* memory, std::size_t bytes, const Stream* sent_on) noexcept {
    fetched_ = memory;
    fetched_bytes_ = static_cast<std::uint32_t>(bytes);
    sent_on_ = sent_on;
  }
  void watch_end(EndWatcher watcher, void* context) noexcept {
    end_watcher_ = watcher;
    end_context_ = context;
    watch_bytes_ = false;
  }
  /// As watch_end(); the watcher is also called when bytes arrive, with Errc::none: nobody has
  /// asked for any.
  void watch_idle(EndWatcher watcher, void* context) noexcept {
    watch_end(watcher, context);
    watch_bytes_ = true;
  }

  /// How the connection ended; Errc::none while it is open.
  [[nodiscard]] const Error& end() const noexcept { return end_; }
  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  [[nodiscard]] ring::Reactor& reactor() noexcept { return reactor_; }

 private:
  friend struct ArrivalAwaiter;
  friend struct SendAwaiter;
  friend struct CloseAwaiter;
  struct HandshakeAwaiter;

  static void on_receive(void* context, const ring::Completion& completion);
  static void on_send(void* context, const ring::Completion& completion);
  static void on_receive_deadline(ring::Timer& timer, void* context);
  static void on_send_stall(ring::Timer& timer, void* context);
  static void on_buffers_back(void* context);
  static void on_buffer_pressure(void* context);

  void arm_receive() noexcept;
  void pause_receive() noexcept;
  void set_end(const Error& end) noexcept;
  void wake_receiver() noexcept;
  void finish_send(Result<> result) noexcept;
  void start_send(bool may_wait) noexcept;
  void deliver(ring::Piece piece) noexcept;
  void on_peer_fin() noexcept;
  void deliver_secured(ring::Piece piece) noexcept;
  void send_last_words() noexcept;
  void begin_secured_send() noexcept;
  void send_secured() noexcept;
  void start_secured_send() noexcept;
  void on_sent_secured(std::int32_t result) noexcept;
  void shut_secured_send() noexcept;
  void arm_send_stall() noexcept;
  [[nodiscard]] std::size_t unacknowledged() const noexcept;
  void interrupt_send() noexcept;
  void finish_close_if_idle() noexcept;
  [[nodiscard]] bool send_op_idle_result() const noexcept { return !sending_; }

  ring::Reactor& reactor_;
  int fd_;
  Source peer_;
  bool aborted_ = false;
  bool sending_ = false;
  bool connecting_ = false;
  bool timed_out_ = false;
  bool send_timed_out_ = false;
  bool send_broke_ = false;
  bool receive_stopping_ = false;  ///< its cancel is under way
  bool watch_bytes_ = false;
  bool shaking_hands_ = false;  ///< start_tls() waits, not receive()
  bool fin_after_send_ = false;
  Error end_;
  Result<> send_result_;
  std::uint32_t delays_ = 0;  ///< pieces that delay_acknowledgements() was told of

  ring::Operation receive_op_;
  ring::Operation send_op_;
  ring::BufferUser buffer_user_;
  ring::Timer receive_timer_;
  ring::Timer send_timer_;
  ring::PieceQueue received_;

  std::coroutine_handle<> receive_waiter_;
  std::coroutine_handle<> send_waiter_;
  std::coroutine_handle<> close_waiter_;
  const void* fetched_ = nullptr;
  const Stream* sent_on_ = nullptr;
  std::uint32_t fetched_bytes_ = 0;
  std::uint32_t credit_ = kReceiveCredit;
  EndWatcher end_watcher_ = nullptr;
  void* end_context_ = nullptr;

  TimeNs stall_ns_ = 0;
  ring::PieceQueue* held_ = nullptr;
  std::unique_ptr<SecureLayer> secure_;  ///< null on plain connections
  struct Outgoing;
  std::unique_ptr<Outgoing> outgoing_;  ///< message header and vector of the send in flight
};

}  // namespace sluice::net
