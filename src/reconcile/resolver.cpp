#include "resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <chrono>

#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kThreads = 2;  // one slow name server must not keep the other names waiting

}  // namespace

std::vector<IpAddress> system_lookup(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<IpAddress> out;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return out;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    std::optional<IpAddress> address;
    if (at->ai_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(at->ai_addr);
      address = ip_from_bytes({reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), 4});
    } else if (at->ai_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(at->ai_addr);
      address = ip_from_bytes({reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), 16});
    }
    if (address && std::find(out.begin(), out.end(), *address) == out.end()) out.push_back(*address);
  }
  ::freeaddrinfo(found);
  return out;
}

Resolver::Resolver(std::vector<Cidr> allow_private, Lookup lookup, std::function<void()> on_change)
    : allow_private_(std::move(allow_private)), lookup_(std::move(lookup)), on_change_(std::move(on_change)) {
  for (std::size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

Resolver::~Resolver() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Resolver::want(const std::set<HostPort>& hosts) {
  std::vector<std::string> literals;
  {
    const std::lock_guard lock(mutex_);
    if (hosts != wanted_) ++version_;
    wanted_ = hosts;
    std::set<std::string> names;
    for (const HostPort& item : hosts) names.insert(item.host);
    std::erase_if(hosts_, [&](const auto& entry) { return !names.contains(entry.first) && !entry.second.busy; });
    for (const std::string& name : names) {
      const auto [entry, fresh] = hosts_.try_emplace(name);
      if (fresh && parse_ip(name)) {
        entry->second.busy = true;
        literals.push_back(name);
      }
    }
  }
  for (const std::string& text : literals) take(text, {parse_ip(text).value()});
  wake_.notify_all();
}

std::vector<IpAddress> Resolver::allowed(const std::string& host, const std::vector<IpAddress>& found, bool& refused) {
  std::vector<IpAddress> out;
  for (const IpAddress& address : found) {
    if (may_connect(address, allow_private_)) {
      out.push_back(address);
    } else {
      refused = true;
      log_line(LogLevel::warning, "reconcile",
               host + ": " + to_string(address) + " is not a public address and allow_private does not list it");
    }
  }
  // In a fixed order: an answer that only changes the order is no change.
  std::sort(out.begin(), out.end(), [](const IpAddress& a, const IpAddress& b) {
    return a.is_v4() != b.is_v4() ? a.is_v4() : a.bytes < b.bytes;
  });
  if (out.size() > state::kAddressesPerHost) out.resize(state::kAddressesPerHost);
  return out;
}

void Resolver::take(const std::string& host, const std::vector<IpAddress>& found) {
  bool refused = false;
  std::vector<IpAddress> good = allowed(host, found, refused);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    const auto place = hosts_.find(host);
    if (place == hosts_.end()) return;
    Entry& entry = place->second;
    entry.busy = false;
    const TimeNs now_ns = system_clock().monotonic_ns();
    // A name server that is away takes nothing from what is pinned; an answer that is refused does.
    const bool keep = good.empty() && !refused && !entry.addresses.empty();
    changed = !entry.tried || (!keep && good != entry.addresses);
    entry.tried = true;
    entry.due_ns = now_ns + (good.empty() ? kRetryNs : kRefreshNs);
    if (good.empty() && !entry.complained) {
      log_line(LogLevel::warning, "reconcile", host + (keep ? ": does not resolve, its last addresses stay" : ": has no usable address"));
    }
    entry.complained = good.empty();
    if (!keep) entry.addresses = std::move(good);
    if (changed) ++version_;
  }
  if (changed) on_change_();
}

void Resolver::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const TimeNs now_ns = system_clock().monotonic_ns();
    TimeNs next_ns = now_ns + kSecond;
    std::string host;
    for (auto& [name, entry] : hosts_) {
      if (entry.busy) continue;
      if (entry.due_ns <= now_ns) {
        entry.busy = true;
        host = name;
        break;
      }
      next_ns = std::min(next_ns, entry.due_ns);
    }
    if (host.empty()) {
      wake_.wait_for(lock, std::chrono::nanoseconds(next_ns - now_ns));
      continue;
    }
    lock.unlock();
    const auto literal = parse_ip(host);
    take(host, literal ? std::vector<IpAddress>{*literal} : lookup_(host));
    lock.lock();
  }
}

bool Resolver::settled() {
  const std::lock_guard lock(mutex_);
  return std::all_of(wanted_.begin(), wanted_.end(), [&](const HostPort& item) {
    const auto entry = hosts_.find(item.host);
    return entry != hosts_.end() && entry->second.tried;
  });
}

std::uint64_t Resolver::version() {
  const std::lock_guard lock(mutex_);
  return version_;
}

std::vector<state::AddressSpec> Resolver::addresses() {
  const std::lock_guard lock(mutex_);
  std::vector<state::AddressSpec> out;
  for (const HostPort& item : wanted_) {
    state::AddressSpec spec;
    spec.host = item.host;
    spec.port = item.port;
    const auto entry = hosts_.find(item.host);
    if (entry != hosts_.end()) {
      for (const IpAddress& address : entry->second.addresses) {
        state::PinnedAddress pinned;
        pinned.port = item.port;
        pinned.family = address.is_v4() ? 4 : 6;
        const std::size_t skip = address.is_v4() ? 12 : 0;
        std::copy(address.bytes.begin() + static_cast<std::ptrdiff_t>(skip), address.bytes.end(), pinned.bytes.begin());
        spec.addresses.push_back(pinned);
      }
    }
    out.push_back(std::move(spec));
  }
  return out;
}

}  // namespace sluice::reconcile
