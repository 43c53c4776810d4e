// RingPort: what the reactor asks of a ring. The kernel's io_uring implements it, and so does a
// scripted twin that tests drive (short sends, exhausted buffers, late cancels).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/units.hpp"

struct sockaddr;
struct msghdr;

namespace sluice::ring {

enum class OpCode : std::uint8_t {
  accept,          ///< fd; result: the new descriptor
  connect,         ///< fd, address, length
  recv_multishot,  ///< fd, length = most bytes of one receive, and of all those after which it
                   ///< ends: twice that at most (0: no such end; nor has Linux before 6.17 one);
                   ///< each completion carries a provided buffer
  send,            ///< fd, address, length, msg_flags
  sendmsg,         ///< fd, address = msghdr*, msg_flags
  cancel,          ///< target = user data of the operation to end
  poll,            ///< fd, msg_flags = poll mask; once
  poll_multishot,
};

/// One operation to submit. What `address` points to stays valid until its last completion.
struct Submission {
  OpCode code;
  int fd = -1;
  const void* address = nullptr;
  std::uint32_t length = 0;
  std::uint32_t msg_flags = 0;
  std::uint64_t target = 0;
  std::uint64_t user_data = 0;
};

struct Completion {
  std::uint64_t user_data;
  std::int32_t result;  ///< ≥ 0, or -errno
  bool more;            ///< the operation stays armed
  bool has_buffer;
  bool
      buffer_more;  ///< incremental buffers: the rest of the buffer will be used by a later receive
  std::uint16_t buffer;
};

class RingPort {
 public:
  virtual ~RingPort() = default;

  /// Queues one operation; submits what is queued when there is no room. Never fails.
  virtual void prepare(const Submission& submission) = 0;

  /// `fd` will have many operations: from the next enter() on they look it up in the ring's own
  /// table, which spares each a reference on the file. Before the descriptor is closed, forget()
  /// it. Without effect where there is no such table.
  virtual void keep(int fd) = 0;
  virtual void forget(int fd) = 0;

  /// Submits what is queued and takes up to out.size() completions. Waits up to `wait_ns` when
  /// there is none (0: not at all). Returns how many were taken; an interrupted wait gives 0.
  virtual std::size_t enter(std::span<Completion> out, TimeNs wait_ns) = 0;

  /// True when completions may be waiting: a look at shared memory, no system call.
  [[nodiscard]] virtual bool has_events() const = 0;

  // Provided buffers: `buffer_count` blocks of `buffer_bytes`, numbered from 0.
  [[nodiscard]] virtual std::size_t buffer_count() const = 0;
  [[nodiscard]] virtual std::size_t buffer_bytes() const = 0;
  [[nodiscard]] virtual char* buffer_data(std::uint16_t buffer) = 0;
  /// Hands a block (back) to the ring for later receives. A receive that finds none says -ENOBUFS;
  /// it may be that the port had others in reserve, and the next one finds them.
  virtual void provide(std::uint16_t buffer) = 0;
};

}  // namespace sluice::ring
