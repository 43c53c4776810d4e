#include "sluice/state/boards.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "sluice/state/gate.hpp"

namespace sluice::state {
namespace {

constexpr std::uint64_t kMagic = 0x3144'524f'4249'4c53;  // "SLIBORD1"
constexpr std::uint32_t kLayout = 2;
constexpr std::size_t kPage = 4096;

struct alignas(64) FileHeader {
  std::uint64_t magic = 0;
  std::uint32_t layout = kLayout;
  std::uint32_t slots = 0;
  std::uint32_t meter_entries = 0;
  std::uint32_t reserved = 0;
  std::uint64_t epoch = 0;
  Uuid uuid{};
  std::uint64_t bytes = 0;
};

std::size_t to_page(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

/// Where each part begins in the file.
struct Layout {
  std::size_t gate, admission, shards, health, refused, meters, end;
};

Layout layout_of(std::uint32_t slots, std::uint32_t meter_entries) {
  Layout at{};
  at.gate = to_page(sizeof(FileHeader));
  at.admission = at.gate + to_page(sizeof(Gate));
  at.shards = at.admission + to_page(sizeof(AdmissionBlock));
  at.health = at.shards + to_page(slots * sizeof(ShardBlock));
  at.refused = at.health + to_page(kHealthEntries * sizeof(HealthEntry));
  at.meters = at.refused + to_page(slots * sizeof(RefusedRing));
  at.end = at.meters + to_page(std::size_t{slots} * meter_entries * sizeof(MeterEntry));
  return at;
}

std::string path_in(const std::string& directory) { return directory + "/boards"; }

std::unexpected<Error> io_error(std::string& message, const std::string& what,
                                const std::string& path) {
  const int error = errno;
  message = what + " " + path + ": " + std::strerror(error);
  return fail(error == ENOSPC ? Errc::full : Errc::io, Source::self, Retry::no, error);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Boards::~Boards() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
}

Result<std::unique_ptr<Boards>> Boards::create(const std::string& directory, const Shape& shape,
                                               std::string& message) {
  const std::string path = path_in(directory);
  if (shape.slots == 0 || shape.slots > kMaxSlots || shape.meter_entries == 0 ||
      shape.meter_entries > (1U << 20)) {
    message =
        "boards: 1 to " + std::to_string(kMaxSlots) + " slots and 1 to 2^20 meter entries a slot";
    return fail(Errc::bad_value);
  }
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660));
  if (file.get() < 0) return io_error(message, "cannot create", path);
  const Layout at = layout_of(shape.slots, shape.meter_entries);
  // All of it now: a hole in a full tmpfs would be a SIGBUS later.
  errno = posix_fallocate(file.get(), 0, static_cast<off_t>(at.end));
  if (errno != 0) return io_error(message, "no room for", path);
  void* memory = mmap(nullptr, at.end, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return io_error(message, "cannot map", path);

  std::unique_ptr<Boards> boards(new Boards());
  boards->shape_ = shape;
  boards->memory_ = static_cast<std::byte*>(memory);
  boards->bytes_ = at.end;
  // Blocks are plain atomics for which a file of zeros is the initial state; only the gate needs
  // more.
  Gate* gate = new (boards->memory_ + at.gate) Gate;
  if (const Result<> made = gate->initialize(); !made) {
    message = "cannot make the gate's mutex in " + path;
    return std::unexpected(made.error());
  }
  auto* header = new (boards->memory_) FileHeader;
  header->slots = shape.slots;
  header->meter_entries = shape.meter_entries;
  header->epoch = shape.epoch;
  header->uuid = shape.uuid;
  header->bytes = at.end;
  std::atomic_ref(header->magic).store(kMagic, std::memory_order_release);
  return boards;
}

Result<std::unique_ptr<Boards>> Boards::attach(const std::string& directory, std::string& message) {
  const std::string path = path_in(directory);
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno != ENOENT) return io_error(message, "cannot open", path);
    message = path + " does not exist";
    return fail(Errc::not_found, Source::self, Retry::no, ENOENT);
  }
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return io_error(message, "cannot stat", path);
  const auto bytes = static_cast<std::size_t>(status.st_size);
  FileHeader header;
  if (bytes < sizeof(header) ||
      pread(file.get(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)) ||
      header.magic != kMagic || header.layout != kLayout || header.slots == 0 ||
      header.slots > kMaxSlots || header.meter_entries == 0 || header.meter_entries > (1U << 20) ||
      header.bytes != bytes || layout_of(header.slots, header.meter_entries).end != bytes) {
    message = path + " is not a complete board file of this version";
    return fail(Errc::corrupt);
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return io_error(message, "cannot map", path);
  std::unique_ptr<Boards> boards(new Boards());
  boards->shape_ = {header.uuid, header.epoch, header.slots, header.meter_entries};
  boards->memory_ = static_cast<std::byte*>(memory);
  boards->bytes_ = bytes;
  return boards;
}

Gate& Boards::gate() {
  return *reinterpret_cast<Gate*>(memory_ + layout_of(shape_.slots, shape_.meter_entries).gate);
}

AdmissionBlock& Boards::admission() {
  return *reinterpret_cast<AdmissionBlock*>(
      memory_ + layout_of(shape_.slots, shape_.meter_entries).admission);
}

std::span<ShardBlock> Boards::shards() {
  std::byte* at = memory_ + layout_of(shape_.slots, shape_.meter_entries).shards;
  return {reinterpret_cast<ShardBlock*>(at), shape_.slots};
}

ShardBlock& Boards::shard(SlotId slot) { return shards()[slot]; }

std::span<HealthEntry> Boards::health() {
  std::byte* at = memory_ + layout_of(shape_.slots, shape_.meter_entries).health;
  return {reinterpret_cast<HealthEntry*>(at), kHealthEntries};
}

RefusedRing& Boards::refused(SlotId slot) {
  std::byte* at = memory_ + layout_of(shape_.slots, shape_.meter_entries).refused;
  return reinterpret_cast<RefusedRing*>(at)[slot];
}

MeterBoard Boards::meter(SlotId slot) {
  std::byte* at = memory_ + layout_of(shape_.slots, shape_.meter_entries).meters;
  auto* entries = reinterpret_cast<MeterEntry*>(at) + std::size_t{slot} * shape_.meter_entries;
  return MeterBoard({entries, shape_.meter_entries});
}

bool RefusedRing::push(const RefusedRecord& record) {
  const std::uint64_t at = head.load(std::memory_order_relaxed);
  if (at - tail.load(std::memory_order_acquire) >= kRefusedRingRecords) {
    dropped.store(dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return false;
  }
  records[at % kRefusedRingRecords] = record;
  head.store(at + 1, std::memory_order_release);
  return true;
}

std::size_t RefusedRing::pop(std::span<RefusedRecord> out) {
  std::uint64_t at = tail.load(std::memory_order_relaxed);
  const std::uint64_t end = head.load(std::memory_order_acquire);
  // A head that cannot be (another process wrote nonsense): start again from it.
  if (end - at > kRefusedRingRecords) at = end;
  std::size_t count = 0;
  while (at != end && count < out.size()) out[count++] = records[at++ % kRefusedRingRecords];
  tail.store(at, std::memory_order_release);
  return count;
}

std::uint32_t admission_stop(const AdmissionBlock& block, TimeNs monotonic_ns) {
  std::uint32_t stop = block.stop.load(std::memory_order_relaxed);
  const Nanos most = block.max_undrained_nanos.load(std::memory_order_relaxed);
  if (most > 0 && block.undrained_nanos.load(std::memory_order_relaxed) > most)
    stop |= kStopUndrained;
  const TimeNs oldest = block.undrained_oldest_ns.load(std::memory_order_relaxed);
  const TimeNs max_age = block.max_undrained_age_ns.load(std::memory_order_relaxed);
  if (max_age > 0 && oldest > 0 && monotonic_ns - oldest > max_age) stop |= kStopUndrained;
  // Who would count the rows is not there.
  const TimeNs seen = block.reconciler_heartbeat_ns.load(std::memory_order_relaxed);
  if (max_age > 0 && seen > 0 && monotonic_ns - seen > max_age) stop |= kStopUndrained;
  return stop;
}

std::optional<std::uint32_t> min_client_connections(std::span<const ShardBlock> shards,
                                                    TimeNs monotonic_ns) {
  std::optional<std::uint32_t> least;
  for (const ShardBlock& shard : shards) {
    if (!shard.serves(monotonic_ns)) continue;
    const std::uint32_t open = shard.client_connections.load(std::memory_order_relaxed);
    if (!least || open < *least) least = open;
  }
  return least;
}

}  // namespace sluice::state
