#include "scripted_ring.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::ring::testing {
namespace {

// What a returned buffer is filled with: bytes read after the return are noticed.
constexpr char kReturned = '\xdd';

bool is_send(OpCode code) { return code == OpCode::send || code == OpCode::sendmsg; }

bool is_shut(int fd) {
  pollfd look{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLNVAL)) != 0;
}

std::size_t bytes_of(const ScriptedOp& op) {
  std::size_t bytes = 0;
  for (const auto& range : op.ranges) bytes += range.bytes.size();
  return bytes;
}

}  // namespace

ScriptedRing::ScriptedRing(ScriptOptions options)
    : options_(options),
      memory_(options.buffer_count * options.buffer_bytes),
      held_by_ring_(options.buffer_count, true) {
  for (std::size_t i = 0; i < options.buffer_count; ++i) {
    provided_.push_back(static_cast<std::uint16_t>(i));
  }
}

ScriptedRing::~ScriptedRing() {
  for (const auto& [fd, peer] : peers_) {
    if (peer.other_fd >= 0) ::close(peer.other_fd);
  }
}

int ScriptedRing::make_fd() {
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    problem("socketpair: " + std::string(std::strerror(errno)));
    return -1;
  }
  const auto old = peers_.find(pair[0]);
  if (old != peers_.end() && old->second.other_fd >= 0) ::close(old->second.other_fd);
  peers_[pair[0]] = Peer{};
  peers_[pair[0]].other_fd = pair[1];
  return pair[0];
}

// ---- buffers

char* ScriptedRing::buffer_data(std::uint16_t buffer) {
  return memory_.data() + std::size_t{buffer} * options_.buffer_bytes;
}

void ScriptedRing::provide(std::uint16_t buffer) {
  if (buffer >= options_.buffer_count || held_by_ring_[buffer]) {
    problem("buffer " + std::to_string(buffer) + " provided twice");
    return;
  }
  held_by_ring_[buffer] = true;
  std::memset(buffer_data(buffer), kReturned, options_.buffer_bytes);
  provided_.push_back(buffer);
}

// ---- submission

void ScriptedRing::prepare(const Submission& submission) {
  ++prepared_[submission.code];
  const int fd = submission.fd;
  if (is_send(submission.code) && find_send(fd) != nullptr) {
    problem("two sends in flight on one descriptor");
  }
  if (submission.code == OpCode::recv_multishot && find(OpCode::recv_multishot, fd) != nullptr) {
    problem("two receives in flight on one descriptor");
  }
  ops_.push_back({.number = next_number_++,
                  .submission = submission,
                  .submitted = false,
                  .ranges = {},
                  .received = 0,
                  .looked = false});
}

void ScriptedRing::snapshot(ScriptedOp& op) {
  const auto add = [&op](const void* data, std::size_t bytes) {
    const char* const text = static_cast<const char*>(data);
    op.ranges.push_back({text, std::string(text, bytes)});
  };
  const Submission& s = op.submission;
  if (s.code == OpCode::send) add(s.address, s.length);
  if (s.code == OpCode::sendmsg) {
    const auto* header = static_cast<const msghdr*>(s.address);
    for (std::size_t i = 0; i < header->msg_iovlen; ++i) {
      add(header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
    }
  }
}

void ScriptedRing::check_unchanged(const ScriptedOp& op) {
  for (const auto& range : op.ranges) {
    if (std::memcmp(range.data, range.bytes.data(), range.bytes.size()) != 0) {
      problem("memory of a send changed while it was in flight");
    }
  }
}

void ScriptedRing::submit() {
  std::vector<ScriptedOp> cancels;
  for (ScriptedOp& op : ops_) {
    if (op.submitted) continue;
    op.submitted = true;
    snapshot(op);
    if (op.submission.code == OpCode::cancel) cancels.push_back(op);
  }
  for (const ScriptedOp& cancel : cancels) submit_cancel(cancel);
}

void ScriptedRing::submit_cancel(const ScriptedOp& cancel) {
  const auto target = std::find_if(ops_.begin(), ops_.end(), [&](const ScriptedOp& op) {
    return op.submission.code != OpCode::cancel &&
           op.submission.user_data == cancel.submission.target;
  });
  if (target == ops_.end()) return finish(cancel.number, -ENOENT);
  const std::uint64_t number = target->number;
  switch (options_.cancel_order) {
    case CancelOrder::cancel_first:
      finish(cancel.number, 0);
      finish(number, -ECANCELED);
      break;
    case CancelOrder::target_first:
      finish(number, -ECANCELED);
      finish(cancel.number, 0);
      break;
    case CancelOrder::by_hand:
      finish(cancel.number, -EALREADY);
      break;
  }
}

std::size_t ScriptedRing::enter(std::span<Completion> out, TimeNs wait_ns) {
  ++enters_;
  submit();
  for (const ScriptedOp& op : ops_) {
    if (op.submission.fd >= 0 && fcntl(op.submission.fd, F_GETFD) < 0) {
      problem("a descriptor was closed with an operation in flight on it");
    }
  }
  move_bytes();
  if (completions_.empty() && wait_ns > 0 && clock_ != nullptr) clock_->advance(wait_ns);
  std::size_t count = 0;
  while (count < out.size() && !completions_.empty()) {
    out[count++] = completions_.front();
    completions_.pop_front();
  }
  return count;
}

// ---- the model of the peers

void ScriptedRing::deliver(int fd, std::string_view bytes) { peers_[fd].inbox.append(bytes); }

void ScriptedRing::move_bytes() {
  std::vector<std::uint64_t> numbers;
  for (const ScriptedOp& op : ops_) numbers.push_back(op.number);
  for (const std::uint64_t number : numbers) {
    const auto find_op = [&] {
      return std::find_if(ops_.begin(), ops_.end(),
                          [number](const ScriptedOp& op) { return op.number == number; });
    };
    const auto op = find_op();
    if (op == ops_.end() || !op->submitted) continue;
    Peer& peer = peers_[op->submission.fd];
    if (op->submission.code == OpCode::recv_multishot) {
      while (find_op() != ops_.end() && receive_once(*find_op(), peer)) {
      }
    } else if (is_send(op->submission.code)) {
      send_what_fits(*op, peer);
    }
  }
}

// One completion of an armed receive, if there is reason for one. True: look again.
bool ScriptedRing::receive_once(ScriptedOp& op, Peer& peer) {
  const bool shut = !options_.shutdown_by_hand && is_shut(op.submission.fd);
  if (peer.inbox.empty()) {
    const bool first_look = !std::exchange(op.looked, true);
    if (peer.error_number != 0) {
      finish(op.number, -std::exchange(peer.error_number, 0));
    } else if (peer.ended || shut) {
      finish(op.number, 0);
    } else if (provided_.empty() && first_look) {
      finish(op.number,
             -ENOBUFS);  // the kernel too says so when a receive is armed, before data come
    }
    return false;
  }
  op.looked = true;
  if (provided_.empty()) {
    finish(op.number, -ENOBUFS);
    return false;
  }
  const std::uint16_t buffer = provided_.front();
  const std::size_t room = options_.buffer_bytes - front_filled_;
  const bool limited = options_.receive_limit && op.submission.length > 0;
  // As in the kernel: of each receive, and of all of them, which is looked at after each.
  const std::size_t limit = limited ? op.submission.length : SIZE_MAX;
  const std::size_t bytes = std::min({peer.inbox.size(), room, options_.receive_most, limit});
  op.received += bytes;
  const bool at_limit = op.received >= limit;
  std::memcpy(buffer_data(buffer) + front_filled_, peer.inbox.data(), bytes);
  peer.inbox.erase(0, bytes);
  const bool buffer_more = options_.incremental && bytes < room;
  front_filled_ += bytes;
  if (!buffer_more) {
    provided_.pop_front();
    held_by_ring_[buffer] = false;
    front_filled_ = 0;
  }
  const bool more = !std::exchange(peer.last_receive, false) && !at_limit;
  completions_.push_back({.user_data = op.submission.user_data,
                          .result = static_cast<std::int32_t>(bytes),
                          .more = more,
                          .has_buffer = true,
                          .buffer_more = buffer_more,
                          .buffer = buffer});
  if (!more) {
    std::erase_if(ops_, [&op](const ScriptedOp& other) { return other.number == op.number; });
  }
  return more;
}

void ScriptedRing::send_what_fits(const ScriptedOp& op, Peer& peer) {
  if (!options_.shutdown_by_hand && is_shut(op.submission.fd)) return finish(op.number, -EPIPE);
  if (options_.sends_by_hand) return;
  if (peer.send_room == 0) {
    if ((op.submission.msg_flags & MSG_DONTWAIT) != 0) finish(op.number, -EAGAIN);
    return;
  }
  const std::size_t bytes = std::min({bytes_of(op), peer.send_room, options_.send_most});
  take_sent(op, peer, bytes);
  finish(op.number, static_cast<std::int32_t>(bytes));
}

void ScriptedRing::take_sent(const ScriptedOp& op, Peer& peer, std::size_t bytes) {
  if (peer.send_room != SIZE_MAX) peer.send_room -= std::min(bytes, peer.send_room);
  for (const auto& range : op.ranges) {
    const std::size_t part = std::min(bytes, range.bytes.size());
    peer.sent.append(range.bytes, 0, part);
    bytes -= part;
  }
}

// ---- operations

void ScriptedRing::finish(std::uint64_t number, std::int32_t result) {
  const auto op = std::find_if(ops_.begin(), ops_.end(), [number](const ScriptedOp& other) {
    return other.number == number;
  });
  if (op == ops_.end()) return problem("the script ends an operation that is not in flight");
  check_unchanged(*op);
  completions_.push_back({.user_data = op->submission.user_data,
                          .result = result,
                          .more = false,
                          .has_buffer = false,
                          .buffer_more = false,
                          .buffer = 0});
  ops_.erase(op);
}

std::size_t ScriptedRing::in_flight(OpCode code, int fd) const {
  return static_cast<std::size_t>(std::count_if(
      ops_.begin(), ops_.end(),
      [&](const ScriptedOp& op) { return op.submission.code == code && op.submission.fd == fd; }));
}

std::size_t ScriptedRing::in_flight_on(int fd) const {
  return static_cast<std::size_t>(std::count_if(
      ops_.begin(), ops_.end(), [&](const ScriptedOp& op) { return op.submission.fd == fd; }));
}

std::size_t ScriptedRing::prepared(OpCode code) const {
  const auto found = prepared_.find(code);
  return found == prepared_.end() ? 0 : found->second;
}

const ScriptedOp* ScriptedRing::find(OpCode code, int fd) const {
  for (const ScriptedOp& op : ops_) {
    if (op.submission.code == code && (fd < 0 || op.submission.fd == fd)) return &op;
  }
  return nullptr;
}

const ScriptedOp* ScriptedRing::find_send(int fd) const {
  const ScriptedOp* const send = find(OpCode::send, fd);
  return send != nullptr ? send : find(OpCode::sendmsg, fd);
}

bool ScriptedRing::complete(OpCode code, int fd, std::int32_t result) {
  submit();
  const ScriptedOp* const op = find(code, fd);
  if (op == nullptr) {
    problem("the script ends an operation that is not in flight");
    return false;
  }
  finish(op->number, result);
  return true;
}

bool ScriptedRing::complete_send(int fd, std::int32_t result) {
  submit();
  const ScriptedOp* const op = find_send(fd);
  if (op == nullptr) {
    problem("the script ends a send that is not in flight");
    return false;
  }
  if (result > 0) take_sent(*op, peers_[fd], static_cast<std::size_t>(result));
  finish(op->number, result);
  return true;
}

std::string ScriptedRing::check() const {
  std::string text;
  for (const std::string& one : problems_) text += one + "\n";
  if (!ops_.empty()) text += std::to_string(ops_.size()) + " operations still in flight\n";
  const std::size_t missing = options_.buffer_count - provided_.size();
  if (missing != 0) text += std::to_string(missing) + " buffers not returned\n";
  return text;
}

}  // namespace sluice::ring::testing
