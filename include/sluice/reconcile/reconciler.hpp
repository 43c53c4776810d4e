// The one process a node that joins the ledger and the shared state: usage goes one way, credits,
// keys, the catalog and provider addresses go the other. State-machine rows 5 (free slots), 6, 8,
// 9, 10 and 14 to 18.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/base/ip_address.hpp"
#include "sluice/base/units.hpp"

namespace sluice::state {
class Environment;
}
namespace sluice::ledger {
class Ledger;
}

namespace sluice::reconcile {

/// What a name resolves to, in order of preference. Called in threads of the resolver; may block.
/// Errors: not_found (no such name), unavailable (no answer).
using Lookup = std::function<Result<std::vector<IpAddress>>(const std::string& host)>;

/// Where usage records go as OpenTelemetry spans. Off without an endpoint.
struct TraceOptions {
  std::string endpoint;              ///< base URL; "/v1/traces" is added
  std::vector<std::string> headers;  ///< "Name: value"
};

/// What is told to people, and how. Off without a webhook and a mail server.
struct NoticeOptions {
  std::string webhook_url;
  std::string webhook_key;  ///< see control::webhook_key
  struct {
    std::string url;
    bool plain = false;
    std::string user;
    std::string password;
  } mail;
  std::string mail_from;
  std::vector<std::string> mail_to;
  Nanos low_balance = 0;  ///< 0 = balances are not looked at
  [[nodiscard]] bool on() const { return !webhook_url.empty() || !mail.url.empty(); }
};

struct Options {
  std::uint32_t node = 1;
  std::string state_directory;  ///< on a tmpfs; made when it is missing
  std::uint64_t map_bytes = 512 * kMiB;
  std::uint32_t slots = 5;              ///< 4 × shards + 1
  std::uint32_t meter_entries = 16384;  ///< open exchanges a slot can show
  std::string database;
  std::string records_directory;                  ///< access records; empty = none are written
  std::uint64_t records_file_bytes = 256 * kMiB;  ///< a file that is larger is followed by another
  TimeNs drain_interval_ns = 20 * kMillisecond;
  Nanos max_undrained_nanos = 10 * kNanosPerUsd;
  TimeNs max_undrained_age_ns = 5 * kSecond;
  std::uint32_t usage_days = 90;
  TimeNs total_timeout_ns =
      3600 * kSecond;               ///< of a request: how long a price may be needed after its end
  std::vector<Cidr> allow_private;  ///< networks that a provider may be in although private
  std::string zone_directory = "/usr/share/zoneinfo";
  std::string boot_id_file;  ///< tests name another one; empty = the kernel's
  Lookup lookup;             ///< empty = getaddrinfo
  TraceOptions traces;
  NoticeOptions notices;
};

/// How the environment that is served came to be.
enum class Origin : std::uint8_t {
  attached,  ///< row 14: shards were at work, nothing was checked or rebuilt
  warm,      ///< row 15: the environment of before, reaped, drained and audited
  rebuilt,   ///< row 16: a new epoch
  salvaged,  ///< row 17: a new epoch, because the old environment failed its audit
};
[[nodiscard]] const char* to_string(Origin origin);

/// Single thread but for the resolver's and the record writer's own. Owns the environment (LMDB may
/// be open once in a process), the ledger connection and the environment lock.
class Reconciler {
 public:
  /// Rows 14 to 18: takes the environment lock, opens the ledger, attaches to or builds the
  /// environment, publishes what the ledger has and only then tells shards that they may serve.
  /// Errors, each with one line in `message`: conflict (another reconciler runs, or shards hold
  /// slots of an environment that cannot be used), io (a directory cannot be written), full (tmpfs
  /// or map too small), unavailable (ledger).
  [[nodiscard]] static Result<std::unique_ptr<Reconciler>> start(const Options& options,
                                                                 const Clock& clock,
                                                                 std::string& message);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  /// Everything that is due now, once. Does not wait. Errors: corrupt (the environment cannot be
  /// trusted any more and no shard holds a slot: start again, which salvages), stale_epoch
  /// (somebody else built another).
  [[nodiscard]] Result<> step();

  /// Steps until `stop_fd` (a signalfd, or any descriptor that becomes readable), then drains for
  /// at most 5 s. Answers questions on <state directory>/reconciler.sock meanwhile. Errors as
  /// step().
  [[nodiscard]] Result<> run(int stop_fd);

  /// Drains until the outbox is empty. False when rows are left after `limit_ns`.
  bool drain_all(TimeNs limit_ns);

  [[nodiscard]] Origin origin() const;
  [[nodiscard]] state::Environment& environment();
  [[nodiscard]] ledger::Ledger& ledger();

 private:
  struct Impl;
  explicit Reconciler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::reconcile
