#include "sluice/ring/kernel_ring.hpp"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "sluice/base/assert.hpp"

namespace sluice::ring {
namespace {

constexpr std::uint16_t kBufferGroup = 0;
constexpr rlim_t kMostFiles = 65'536;
/// User data of submissions whose completions say nothing; the reactor knows no such slot.
constexpr std::uint64_t kNobody = ~std::uint64_t{0};
/// Since Linux 6.15, which the header of liburing 2.9 does not know: a sleep for completions is not
/// accounted as waiting for a disk. Else the idle core of a shard that has connections shows 100 %
/// iowait.
constexpr unsigned kFeatureNoIowait = 1U << 17U;
constexpr unsigned kEnterNoIowait = 1U << 7U;

class KernelRing final : public RingPort {
 public:
  KernelRing() = default;
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;

  ~KernelRing() override {
    if (buffer_ring_ != nullptr) {
      io_uring_free_buf_ring(&ring_, buffer_ring_, options_.buffer_block_count, kBufferGroup);
    }
    if (open_) io_uring_queue_exit(&ring_);
    if (memory_ != nullptr) munmap(memory_, memory_bytes());
  }

  Result<> open(const KernelRingOptions& options, std::string& message);

  void prepare(const Submission& submission) override;
  void keep(int fd) override { set_file(fd, fd); }
  void forget(int fd) override { set_file(fd, -1); }
  std::size_t enter(std::span<Completion> out, TimeNs wait_ns) override;
  [[nodiscard]] bool has_events() const override {
    return io_uring_cq_ready(&ring_) != 0 ||
           (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
  }

  [[nodiscard]] std::size_t buffer_count() const override { return options_.buffer_block_count; }
  [[nodiscard]] std::size_t buffer_bytes() const override { return options_.buffer_block_bytes; }
  [[nodiscard]] char* buffer_data(std::uint16_t buffer) override {
    return memory_ + static_cast<std::size_t>(buffer) * options_.buffer_block_bytes;
  }
  void provide(std::uint16_t buffer) override { idle_.push_back(buffer); }

 private:
  [[nodiscard]] std::size_t memory_bytes() const {
    return std::size_t{options_.buffer_block_count} * options_.buffer_block_bytes;
  }
  void open_files();
  Result<> enable(std::string& message);
  Result<> open_buffers(std::string& message);
  void fill_buffer_ring();
  void probe_receive_limit();
  int submit_and_wait(TimeNs wait_ns);
  void set_file(int fd, int file);
  [[nodiscard]] bool is_kept(int fd) const {
    return fd >= 0 && static_cast<std::size_t>(fd) < files_.size() &&
           files_[static_cast<std::size_t>(fd)] >= 0;
  }
  [[nodiscard]] io_uring_sqe& next_sqe();
  std::size_t take(std::span<Completion> out);

  KernelRingOptions options_;
  io_uring ring_{};
  bool open_ = false;
  bool incremental_ = false;
  bool receive_limit_ = false;
  unsigned wait_flags_ = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  char* memory_ = nullptr;
  /// Blocks that are provided. Only `ahead_` of them are in the kernel's ring, which uses them in
  /// turn; of the others the one used last comes next: its memory is in the cache, and what a burst
  /// needed once is not touched again.
  std::vector<std::uint16_t> idle_;
  std::uint32_t ahead_ = 0;
  std::uint32_t in_ring_ = 0;
  /// The ring's table of files as it will be after the next submit: a kept descriptor at its own
  /// number, −1 elsewhere. The kernel reads it when it executes an update.
  std::vector<int> files_;
};

std::string remedy(int error_number) {
  switch (error_number) {
    case EPERM:
      return "io_uring is forbidden here (sysctl kernel.io_uring_disabled, seccomp)";
    case ENOSYS:
      return "this kernel has no io_uring";
    case EINVAL:
      return "this kernel is older than Linux 6.1";
    case ENOMEM:
      return "not enough locked memory (ulimit -l)";
    default:
      return std::strerror(error_number);
  }
}

Result<> KernelRing::open(const KernelRingOptions& options, std::string& message) {
  options_ = options;
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                 IORING_SETUP_R_DISABLED;
  params.cq_entries = options.completions;
  const int rc = io_uring_queue_init_params(options.entries, &ring_, &params);
  if (rc < 0) {
    message = "cannot set up io_uring: " + remedy(-rc);
    return fail(Errc::io, Source::self, Retry::no, -rc);
  }
  open_ = true;
  if (io_uring_register_ring_fd(&ring_) == 1) wait_flags_ |= IORING_ENTER_REGISTERED_RING;
  if (!options.profile_6_1 && (params.features & kFeatureNoIowait) != 0) {
    wait_flags_ |= kEnterNoIowait;
  }
  open_files();
  if (auto opened = open_buffers(message); !opened) return opened;
  return enable(message);
}

// What this ring is for and nothing else: a filter of system calls does not see what goes through
// it. Files cannot be opened, programs not be started, and nothing more be registered.
Result<> KernelRing::enable(std::string& message) {
  std::vector<io_uring_restriction> allowed;
  for (const auto code :
       {IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SENDMSG,
        IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_FILES_UPDATE}) {
    allowed.push_back(
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = static_cast<std::uint8_t>(code)});
  }
  allowed.push_back({.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                     .sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS});
  for (const auto code : {IORING_UNREGISTER_PBUF_RING, IORING_REGISTER_ENABLE_RINGS}) {
    allowed.push_back(
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = static_cast<std::uint8_t>(code)});
  }
  int rc =
      io_uring_register_restrictions(&ring_, allowed.data(), static_cast<unsigned>(allowed.size()));
  if (rc == 0) rc = io_uring_enable_rings(&ring_);
  if (rc < 0) {
    message = "cannot restrict io_uring: " + remedy(-rc);
    return fail(Errc::io, Source::self, Retry::no, -rc);
  }
  if (!options_.profile_6_1) probe_receive_limit();
  return {};
}

// Room for every descriptor that the process may have. Without a table each operation takes and
// drops its reference: taking them was 1 % of a request in a profile.
void KernelRing::open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto count = static_cast<unsigned>(std::min(limit.rlim_cur, kMostFiles));
  if (io_uring_register_files_sparse(&ring_, count) == 0) files_.assign(count, -1);
}

void KernelRing::set_file(int fd, int file) {
  if (fd < 0 || static_cast<std::size_t>(fd) >= files_.size()) return;
  int& place = files_[static_cast<std::size_t>(fd)];
  if (place == file) return;
  place = file;
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_files_update(&sqe, &place, 1, fd);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(&sqe, kNobody);
}

Result<> KernelRing::open_buffers(std::string& message) {
  void* memory =
      mmap(nullptr, memory_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    message = "cannot map receive buffers";
    return fail(Errc::io, Source::self, Retry::no, errno);
  }
  memory_ = static_cast<char*>(memory);
  int rc = 0;
  if (!options_.profile_6_1) {
    buffer_ring_ = io_uring_setup_buf_ring(&ring_, options_.buffer_block_count, kBufferGroup,
                                           IOU_PBUF_RING_INC, &rc);
    incremental_ = buffer_ring_ != nullptr;
  }
  if (buffer_ring_ == nullptr) {
    // Linux before 6.12 gives a whole block to each receive: more and smaller blocks of the same
    // memory.
    options_.buffer_block_count *= 8;
    options_.buffer_block_bytes /= 8;
    buffer_ring_ =
        io_uring_setup_buf_ring(&ring_, options_.buffer_block_count, kBufferGroup, 0, &rc);
  }
  if (buffer_ring_ == nullptr) {
    message = "cannot register receive buffers: " + remedy(-rc);
    return fail(Errc::io, Source::self, Retry::no, -rc);
  }
  idle_.reserve(options_.buffer_block_count);
  for (std::uint32_t i = options_.buffer_block_count; i > 0; --i) {
    provide(static_cast<std::uint16_t>(i - 1));
  }
  ahead_ = std::max(options_.buffer_block_count / 8, 2U);
  return {};
}

void KernelRing::fill_buffer_ring() {
  int added = 0;
  for (; in_ring_ < ahead_ && !idle_.empty(); ++in_ring_, ++added) {
    const std::uint16_t block = idle_.back();
    idle_.pop_back();
    io_uring_buf_ring_add(buffer_ring_, buffer_data(block), options_.buffer_block_bytes, block,
                          io_uring_buf_ring_mask(options_.buffer_block_count), added);
  }
  if (added > 0) io_uring_buf_ring_advance(buffer_ring_, added);
}

// A receive on no descriptor: an older kernel refuses the limit before it looks for the descriptor.
void KernelRing::probe_receive_limit() {
  receive_limit_ = true;
  prepare({.code = OpCode::recv_multishot, .fd = -1, .length = 1});
  io_uring_cqe* cqe = nullptr;
  receive_limit_ = io_uring_submit_and_wait(&ring_, 1) >= 0 &&
                   io_uring_peek_cqe(&ring_, &cqe) == 0 && cqe->res == -EBADF;
  if (cqe != nullptr) io_uring_cqe_seen(&ring_, cqe);
}

io_uring_sqe& KernelRing::next_sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    // The queue is full: submit it. Completions are not taken here, so nothing runs in between.
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  SLUICE_ASSERT(sqe != nullptr);
  return *sqe;
}

void KernelRing::prepare(const Submission& s) {
  io_uring_sqe& sqe = next_sqe();
  switch (s.code) {
    case OpCode::accept:
      io_uring_prep_accept(&sqe, s.fd, nullptr, nullptr, SOCK_CLOEXEC);
      break;
    case OpCode::connect:
      io_uring_prep_connect(&sqe, s.fd, static_cast<const sockaddr*>(s.address), s.length);
      break;
    case OpCode::recv_multishot:
      io_uring_prep_recv_multishot(&sqe, s.fd, nullptr, 0, 0);
      sqe.flags |= IOSQE_BUFFER_SELECT;
      sqe.buf_group = kBufferGroup;
      // Without it, one peer that is ahead fills most of the buffers in a single turn: 3 of 4 MiB
      // were measured.
      if (receive_limit_) sqe.optlen = sqe.len = s.length;
      break;
    case OpCode::send:
      io_uring_prep_send(&sqe, s.fd, s.address, s.length, static_cast<int>(s.msg_flags));
      break;
    case OpCode::sendmsg:
      io_uring_prep_sendmsg(&sqe, s.fd, static_cast<const msghdr*>(s.address), s.msg_flags);
      break;
    case OpCode::cancel:
      io_uring_prep_cancel64(&sqe, s.target, 0);
      break;
    case OpCode::poll:
      io_uring_prep_poll_add(&sqe, s.fd, s.msg_flags);
      break;
    case OpCode::poll_multishot:
      io_uring_prep_poll_multishot(&sqe, s.fd, s.msg_flags);
      break;
  }
  if (is_kept(s.fd)) sqe.flags |= IOSQE_FIXED_FILE;
  io_uring_sqe_set_data64(&sqe, s.user_data);
}

std::size_t KernelRing::take(std::span<Completion> out) {
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  std::size_t count = 0;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (count == out.size()) break;
    out[count++] =
        Completion{.user_data = cqe->user_data,
                   .result = cqe->res,
                   .more = (cqe->flags & IORING_CQE_F_MORE) != 0,
                   .has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0,
                   .buffer_more = (cqe->flags & IORING_CQE_F_BUF_MORE) != 0,
                   .buffer = static_cast<std::uint16_t>(cqe->flags >> IORING_CQE_BUFFER_SHIFT)};
    const Completion& completion = out[count - 1];
    if (completion.has_buffer && !completion.buffer_more) --in_ring_;
    // A turn that needed more than there were: the next one finds twice as many.
    if (completion.result == -ENOBUFS) ahead_ = std::min(ahead_ * 2, options_.buffer_block_count);
  }
  io_uring_cq_advance(&ring_, static_cast<unsigned>(count));
  return count;
}

// As io_uring_submit_and_wait_timeout() for one completion, which takes no flags of ours. Returns
// what io_uring_enter() does: how many were submitted, or an errno below 0.
int KernelRing::submit_and_wait(TimeNs wait_ns) {
  io_uring_sq& queue = ring_.sq;
  queue.sqe_head = queue.sqe_tail;
  __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_RELEASE);
  const __kernel_timespec timeout{.tv_sec = wait_ns / kSecond, .tv_nsec = wait_ns % kSecond};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
  return io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd),
                         io_uring_sq_ready(&ring_), 1, wait_flags_,
                         reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

std::size_t KernelRing::enter(std::span<Completion> out, TimeNs wait_ns) {
  fill_buffer_ring();
  int rc = 0;
  if (wait_ns <= 0) {
    // Nothing to submit and nothing waiting in the kernel: no system call.
    if (io_uring_sq_ready(&ring_) != 0 || has_events()) rc = io_uring_submit_and_get_events(&ring_);
  } else if (io_uring_sq_ready(&ring_) != 0 || io_uring_cq_ready(&ring_) == 0) {
    rc = submit_and_wait(wait_ns);
  }
  // Interrupted, timed out or too busy to submit are part of normal life; the queue stays for the
  // next turn. -EBADR says that a completion was lost, which no state of ours survives.
  SLUICE_ASSERT(rc >= 0 || rc == -EINTR || rc == -ETIME || rc == -EAGAIN || rc == -EBUSY);
  return take(out);
}

}  // namespace

Result<std::unique_ptr<RingPort>> open_kernel_ring(const KernelRingOptions& options,
                                                   std::string& message) {
  auto ring = std::make_unique<KernelRing>();
  if (auto opened = ring->open(options, message); !opened) {
    return std::unexpected(opened.error());
  }
  return ring;
}

}  // namespace sluice::ring
