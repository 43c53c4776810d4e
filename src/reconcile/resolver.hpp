// Resolves the providers' names in threads of its own, checks what comes back against the SSRF rules and keeps the
// last good answer: the addresses that shards connect to are pinned here.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catalog_spec.hpp"
#include "sluice/base/ssrf.hpp"
#include "sluice/state/addresses.hpp"

namespace sluice::reconcile {

/// Addresses of a name, unchecked; empty when it does not resolve. May block for seconds.
using Lookup = std::function<std::vector<IpAddress>(const std::string& host)>;

/// getaddrinfo(3).
[[nodiscard]] std::vector<IpAddress> system_lookup(const std::string& host);

class Resolver {
 public:
  /// Starts the threads. `on_change` is called from them after an answer that changed something.
  Resolver(std::vector<Cidr> allow_private, Lookup lookup, std::function<void()> on_change);
  /// Joins the threads: waits for look-ups that are under way.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Names to keep resolved from now on; others are forgotten. Addresses written as such are answered at once.
  void want(const std::set<HostPort>& hosts);
  /// Whether every wanted name was tried at least once.
  [[nodiscard]] bool settled();
  /// Raised by each change.
  [[nodiscard]] std::uint64_t version();
  /// What is known now, in the order of the names. Names that do not resolve have no addresses.
  [[nodiscard]] std::vector<state::AddressSpec> addresses();
  /// Looks a name up again after this time (an answer's TTL is not seen through getaddrinfo).
  static constexpr TimeNs kRefreshNs = 60 * kSecond;
  static constexpr TimeNs kRetryNs = 2 * kSecond;

 private:
  struct Entry {
    std::vector<IpAddress> addresses;
    TimeNs due_ns = 0;     ///< monotonic; 0 = now
    bool busy = false;
    bool tried = false;
    bool complained = false;
  };
  void work();
  void take(const std::string& host, const std::vector<IpAddress>& found);
  [[nodiscard]] std::vector<IpAddress> allowed(const std::string& host, const std::vector<IpAddress>& found, bool& refused);

  const std::vector<Cidr> allow_private_;
  const Lookup lookup_;
  const std::function<void()> on_change_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Entry> hosts_;
  std::set<HostPort> wanted_;
  std::uint64_t version_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::reconcile
