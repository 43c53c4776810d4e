// Boards: plain shared memory beside the LMDB file, created by the reconciler with the environment.
// A single writer a block (health.hpp apart), atomic stores, readers that check ranges. They carry
// what must be seen by others without a transaction: how far each open exchange is, how each shard
// is, how channels and provider keys are, and requests that were refused before a hold.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "sluice/base/delay_buckets.hpp"
#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/state/health.hpp"
#include "sluice/state/ids.hpp"

namespace sluice::state {

// ---- meter board ---------------------------------------------------------------

/// One open exchange as the board shows it (row 2b): 64 bytes, one cache line.
struct alignas(64) MeterEntry {
  std::atomic<std::uint64_t> hold_seq{0};  ///< 0 = free
  /// phase | usage state << 8 | attempt << 16; stored with release
  std::atomic<std::uint32_t> progress{0};
  std::atomic<std::uint32_t> channel_id{0};
  std::atomic<std::uint32_t> input_estimate{0};
  std::atomic<std::uint32_t> counted_output{0};
  /// input, read, write short, write long, output
  std::array<std::atomic<std::uint32_t>, 5> usage{};
  std::atomic<std::uint32_t> reasoning{0};
  std::array<std::atomic<std::uint16_t>, price::kFees> calls{};
};
static_assert(sizeof(MeterEntry) == 64);

/// What a reader copied out of one entry, in range.
struct MeterView {
  std::uint64_t hold_seq = 0;
  price::Phase phase = price::Phase::reserved;
  std::uint16_t attempt = 0;
  std::uint32_t channel_id = 0;
  price::Metered metered;
};

/// The board of one slot. The shard that holds the slot's lock is its only writer; entries are
/// chosen by the shard (index = its exchange's place in its slab). Does not own the memory.
class MeterBoard {
 public:
  MeterBoard() = default;
  explicit MeterBoard(std::span<MeterEntry> entries) : entries_(entries) {}
  [[nodiscard]] std::uint32_t capacity() const {
    return static_cast<std::uint32_t>(entries_.size());
  }

  // Writer. `index` < capacity().
  /// Takes the entry for a hold: attempt 0, RESERVED. The verb queue calls it before the commit of
  /// a reserve.
  void open(std::uint32_t index, std::uint64_t hold_seq, Tokens input_estimate);
  /// A further attempt at another candidate: attempt + 1, RESERVED, counts cleared.
  void next_attempt(std::uint32_t index, std::uint32_t channel_id);
  /// Forward only; SENDING must be stored before the SQE is submitted.
  void set_phase(std::uint32_t index, price::Phase phase);
  /// A better number than at open(), e.g. after the body was read.
  void set_input_estimate(std::uint32_t index, Tokens tokens);
  void set_counted_output(std::uint32_t index, Tokens tokens);
  /// Usage so far (partial) or complete (final, which also stores phase FINAL after the counts).
  void set_usage(std::uint32_t index, price::UsageState state, const price::TokenCounts& counts);
  /// Gives the entry back, after the hold's settle or void has committed.
  void close(std::uint32_t index);
  void clear_all();

  // Reader (reaper: the writer is dead; inspection: numbers may be a step apart).
  /// The entry of this hold, or nothing: then the phase is RESERVED (row 1). Linear search.
  [[nodiscard]] std::optional<MeterView> find(std::uint64_t hold_seq) const;
  [[nodiscard]] std::optional<MeterView> read(std::uint32_t index) const;
  /// Hold sequence at `index`, 0 = free.
  [[nodiscard]] std::uint64_t hold_at(std::uint32_t index) const;

 private:
  std::span<MeterEntry> entries_;
};

// ---- health board --------------------------------------------------------------

enum class ShardState : std::uint32_t { absent = 0, starting = 1, serving = 2, draining = 3 };

/// Counters that the shared-state code itself keeps; the edge numbers its own from kFirstEdgeMetric
/// on.
enum class Metric : std::uint32_t {
  commits = 0,
  verbs,
  reserves,
  extends,
  settles,
  voids,
  refusals,
  commit_errors,
  gate_waits,       ///< turns that found the gate taken
  gate_wait_ns,     ///< time blocked in it
  gate_busy_turns,  ///< turns that went on without it
  gate_owner_deaths,
  commit_ns,         ///< wall time inside transactions
  verb_queue_depth,  ///< gauge
  refused_records,
  refused_dropped,
  stale_epochs,
};
inline constexpr std::size_t kFirstEdgeMetric = 32;
/// Histograms, kDelayBuckets counters each: how long verbs waited for their commit, how long turns
/// of the loop worked.
inline constexpr std::size_t kVerbDelays = 256;
inline constexpr std::size_t kTurnDelays = kVerbDelays + kDelayBuckets;
inline constexpr std::size_t kMetricSlots = 512;

inline constexpr TimeNs kHeartbeatStaleNs = kSecond;

/// One slot's block. Written by the shard that holds the slot.
struct alignas(64) ShardBlock {
  std::atomic<std::int64_t> heartbeat_ns{0};  ///< monotonic
  /// of the edge binary/supervisor that started the shard
  std::atomic<std::uint64_t> generation{0};
  std::atomic<std::uint32_t> state{0};  ///< ShardState
  std::atomic<std::uint32_t> pid{0};    ///< for people; never decides anything
  std::atomic<std::uint32_t> client_connections{0};
  std::atomic<std::uint32_t> open_exchanges{0};
  std::atomic<std::uint64_t> catalog_generation{0};  ///< in use
  std::atomic<std::uint64_t> published_generation{0};
  std::atomic<std::uint32_t> pepper_version{0};  ///< newest in use; 0 = none yet
  std::atomic<std::uint32_t> files_read{0};      ///< how often secrets and certificates were read
  std::array<std::atomic<std::uint64_t>, 1> reserved{};
  alignas(64) std::array<std::atomic<std::uint64_t>, kMetricSlots> metrics{};

  /// Single writer: adds without a locked instruction.
  void add(std::size_t metric, std::uint64_t by = 1) {
    auto& cell = metrics[metric];
    cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void add(Metric metric, std::uint64_t by = 1) { add(static_cast<std::size_t>(metric), by); }
  void set(std::size_t metric, std::uint64_t value) {
    metrics[metric].store(value, std::memory_order_relaxed);
  }

  /// Whether a shard serves on it: a slot without owner has a stale heartbeat.
  [[nodiscard]] bool serves(TimeNs monotonic_ns) const {
    return monotonic_ns - heartbeat_ns.load(std::memory_order_acquire) <= kHeartbeatStaleNs &&
           state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(ShardState::serving);
  }
};

/// What the reconciler tells admission. Written by the reconciler alone.
struct alignas(64) AdmissionBlock {
  std::atomic<std::int64_t> undrained_nanos{0};
  /// monotonic time of the oldest undrained row; 0 = none
  std::atomic<std::int64_t> undrained_oldest_ns{0};
  std::atomic<std::uint64_t> undrained_rows{0};
  std::atomic<std::int64_t> max_undrained_nanos{0};  ///< 0 = no limit
  std::atomic<std::int64_t> max_undrained_age_ns{0};
  std::atomic<std::uint32_t> stop{0};   ///< AdmissionStop bits set by the reconciler
  std::atomic<std::uint32_t> ready{0};  ///< 1 = shards may serve
  std::atomic<std::int64_t> reconciler_heartbeat_ns{0};  ///< monotonic
  // What the reconciler sends to others, since its start.
  std::atomic<std::uint64_t> spans_sent{0};
  std::atomic<std::uint64_t> spans_dropped{0};  ///< the collector was away, or too slow
  std::atomic<std::uint64_t> notices_sent{0};
  std::atomic<std::uint64_t> notices_given_up{0};
  std::atomic<std::uint64_t> notices_waiting{0};
  /// routes that lead to a model that their provider does not list
  std::atomic<std::uint64_t> routes_unlisted{0};
};
enum AdmissionStop : std::uint32_t {
  kStopUndrained = 1U << 0,
  kStopMapFull = 1U << 1,
  kStopOperator = 1U << 2,
};
/// Why nothing may be admitted now, 0 if all is well: `stop`, and the lag checked against its
/// limits. A lag limit counts only rows that were seen: a dead reconciler, who sees none, stops
/// admission after max_undrained_age_ns by its heartbeat.
[[nodiscard]] std::uint32_t admission_stop(const AdmissionBlock& block, TimeNs monotonic_ns);

/// The minimum of client connections over slots that serve and have a fresh heartbeat; nothing when
/// there is none. A slot without owner has a stale heartbeat, so that no lock needs to be asked
/// (accept rule, design §2).
[[nodiscard]] std::optional<std::uint32_t> min_client_connections(
    std::span<const ShardBlock> shards, TimeNs monotonic_ns);

// ---- refused ring --------------------------------------------------------------

enum class RefusedKind : std::uint8_t {
  refused = 0,
  probe = 1,  ///< an active probe of a channel; `error` is a state::Fault, and it cost nothing
};

/// A request that was refused before it had a hold, or a probe. 128 bytes.
struct RefusedRecord {
  RequestId request_id{};
  std::uint64_t key_id = 0;  ///< 0 = not authenticated
  TimeNs at_ns = 0;          ///< realtime
  std::uint32_t model_id = 0;
  std::uint16_t http_status = 0;
  std::uint8_t error = 0;  ///< Errc
  std::uint8_t limit = 0;  ///< Limit
  std::uint8_t format_in = 0;
  std::uint8_t address_kind = 0;  ///< 0 none, 4, 6
  RefusedKind kind = RefusedKind::refused;
  std::uint8_t padding = 0;
  std::uint32_t bytes_in = 0;
  std::array<std::uint8_t, 16> client_address{};
  std::uint64_t total_ns = 0;
  std::uint32_t channel_id = 0;       ///< of a probe
  std::array<char, 52> model_name{};  ///< as asked, zero padded, cut
};
static_assert(sizeof(RefusedRecord) == 128);

inline constexpr std::uint32_t kRefusedRingRecords = 1024;
/// Single producer (the shard), single consumer (the reconciler); full = the record is dropped and
/// counted.
struct alignas(64) RefusedRing {
  alignas(64) std::atomic<std::uint64_t> head{0};  ///< next to write
  std::atomic<std::uint64_t> dropped{0};
  alignas(64) std::atomic<std::uint64_t> tail{0};  ///< next to read
  alignas(64) std::array<RefusedRecord, kRefusedRingRecords> records{};

  /// Never waits. False when the ring was full.
  bool push(const RefusedRecord& record);
  /// Copies out at most out.size() records; returns how many.
  std::size_t pop(std::span<RefusedRecord> out);
};

// ---- the files -----------------------------------------------------------------

class Gate;

/// All boards of one environment, mapped. Created by the reconciler (preallocated: no SIGBUS),
/// attached by shards and the supervisor, which never opens LMDB.
class Boards {
 public:
  struct Shape {
    Uuid uuid{};
    std::uint64_t epoch = 0;
    std::uint32_t slots = 5;
    std::uint32_t meter_entries = 16384;  ///< open exchanges a slot can show
  };
  /// Errors: io (unwritable, no room), with a line in `message`.
  [[nodiscard]] static Result<std::unique_ptr<Boards>> create(const std::string& directory,
                                                              const Shape& shape,
                                                              std::string& message);
  /// Errors: not_found, corrupt (magic, version or size), io.
  [[nodiscard]] static Result<std::unique_ptr<Boards>> attach(const std::string& directory,
                                                              std::string& message);
  ~Boards();
  Boards(const Boards&) = delete;
  Boards& operator=(const Boards&) = delete;

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Gate& gate();
  [[nodiscard]] AdmissionBlock& admission();
  [[nodiscard]] std::span<ShardBlock> shards();
  [[nodiscard]] ShardBlock& shard(SlotId slot);
  [[nodiscard]] std::span<HealthEntry> health();
  [[nodiscard]] RefusedRing& refused(SlotId slot);
  [[nodiscard]] MeterBoard meter(SlotId slot);

 private:
  Boards() = default;
  Shape shape_;
  std::byte* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::state
