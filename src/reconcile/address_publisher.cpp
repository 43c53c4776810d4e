#include "address_publisher.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "sluice/base/log.hpp"
#include "sluice/base/ssrf.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kRefreshNs = 30 * kSecond;

state::PinnedAddress pinned(const IpAddress& address, std::uint16_t port) {
  state::PinnedAddress out;
  out.port = port;
  if (address.is_v4()) {
    out.family = 4;
    std::copy_n(address.bytes.begin() + 12, 4, out.bytes.begin());
  } else {
    out.family = 6;
    out.bytes = address.bytes;
  }
  return out;
}

std::optional<IpAddress> unpinned(const state::PinnedAddress& address) {
  return ip_from_bytes(std::span(address.bytes).first(address.family == 4 ? 4 : 16));
}

}  // namespace

AddressPublisher::AddressPublisher(state::Environment& environment, const Clock& clock,
                                   Lookup lookup, std::vector<Cidr> allow_private)
    : environment_(environment),
      clock_(clock),
      allow_private_(std::move(allow_private)),
      resolver_(std::move(lookup)) {
  static_cast<void>(load_present());  // again before each publication
}

Result<> AddressPublisher::load_present() {
  const auto pointer = environment_.catalog_pointer();
  if (!pointer) return std::unexpected(pointer.error());
  if (pointer->addresses_generation == generation_) return {};
  generation_ = pointer->addresses_generation;
  const std::string path =
      environment_.epoch_directory() + "/" + state::addresses_file_name(generation_);
  if (auto opened = state::AddressBook::open(path, pointer->addresses_hash))
    before_ = std::move(*opened);
  return {};
}

void AddressPublisher::set_hosts(const std::vector<HostPort>& hosts) {
  if (hosts == wanted_ && generation_ != 0) return;
  wanted_ = hosts;
  changed_ = true;
  std::set<std::string> names;
  for (const HostPort& host : hosts) names.insert(host.host);
  std::erase_if(hosts_, [&](const auto& known) { return !names.contains(known.first); });
  for (const std::string& name : names) {
    if (!hosts_.contains(name)) add_host(name);
  }
}

void AddressPublisher::add_host(const std::string& name) {
  Host& host = hosts_[name];
  if (const auto literal = parse_ip(name)) {
    host.literal = host.answered = true;
    host.addresses = permitted(name, host, {*literal});
    return;
  }
  for (const HostPort& wanted : wanted_) {
    if (wanted.host != name || !before_ || !host.addresses.empty()) continue;
    std::vector<IpAddress> known;
    for (const state::PinnedAddress& address : before_->find(name, wanted.port)) {
      if (const auto ip = unpinned(address)) known.push_back(*ip);
    }
    // Checked again: what is allowed may have changed with the configuration.
    host.addresses = permitted(name, host, known);
  }
  resolver_.ask(name);
}

void AddressPublisher::complain(const std::string& name, Host& host, const std::string& text) {
  if (std::exchange(host.complained, true)) return;
  log_line(LogLevel::warning, "reconcile", "provider host " + name + " " + text);
}

std::vector<IpAddress> AddressPublisher::permitted(const std::string& name, Host& host,
                                                   const std::vector<IpAddress>& addresses) {
  std::vector<IpAddress> out;
  for (const IpAddress& address : addresses) {
    if (!may_connect(address, allow_private_)) {
      complain(name, host,
               "has the address " + to_string(address) +
                   ", which is not public and not listed in allow_private: it is not used");
      continue;
    }
    if (out.size() < state::kAddressesPerHost) out.push_back(address);
  }
  return out;
}

void AddressPublisher::take(const Resolved& answer) {
  const auto known = hosts_.find(answer.host);
  if (known == hosts_.end()) return;
  Host& host = known->second;
  host.answered = true;
  if (!answer.addresses || answer.addresses->empty()) {
    complain(
        answer.host, host,
        host.addresses.empty() ? "does not resolve" : "does not resolve: its last addresses stay");
    return;
  }
  const bool was_silent = !host.complained;
  std::vector<IpAddress> allowed = permitted(answer.host, host, *answer.addresses);
  if (was_silent || allowed.size() == answer.addresses->size()) host.complained = false;
  // The same addresses in another order (round robin) are no news: connections need not be moved.
  const bool same = std::ranges::is_permutation(allowed, host.addresses);
  if (same) return;
  host.addresses = std::move(allowed);
  changed_ = true;
}

std::vector<state::AddressSpec> AddressPublisher::specs() const {
  std::vector<state::AddressSpec> out;
  for (const HostPort& wanted : wanted_) {
    state::AddressSpec spec{wanted.host, wanted.port, {}};
    const auto host = hosts_.find(wanted.host);
    if (host == hosts_.end()) continue;
    for (const IpAddress& address : host->second.addresses)
      spec.addresses.push_back(pinned(address, wanted.port));
    out.push_back(std::move(spec));
  }
  return out;
}

Result<> AddressPublisher::publish() {
  // The one before may have been committed although an error said no: its number is used up.
  if (auto loaded = load_present(); !loaded) return loaded;
  const std::uint64_t next = generation_ + 1;
  const auto bytes = state::build_addresses(next, specs());
  if (!bytes) {
    log_line(LogLevel::error, "reconcile", "the addresses of providers cannot be published");
    return std::unexpected(bytes.error());
  }
  const std::string name = state::addresses_file_name(next);
  if (auto written = state::write_file(environment_.epoch_directory(), name, *bytes); !written)
    return written;
  if (auto set = state::Writer(environment_).set_addresses(next, name, state::file_hash(*bytes));
      !set)
    return set;
  // Shards map a file when they take it: the one before may still be about to be opened, older ones
  // are not.
  if (next > 2) {
    std::error_code ignored;
    std::filesystem::remove(
        environment_.epoch_directory() + "/" + state::addresses_file_name(next - 2), ignored);
  }
  generation_ = next;
  changed_ = false;
  return {};
}

Result<> AddressPublisher::step() {
  for (const Resolved& answer : resolver_.take()) take(answer);
  const TimeNs now_ns = clock_.monotonic_ns();
  if (asked_at_ns_ == 0) asked_at_ns_ = now_ns;
  if (now_ns - asked_at_ns_ >= kRefreshNs) {
    asked_at_ns_ = now_ns;
    for (const auto& [name, host] : hosts_) {
      if (!host.literal) resolver_.ask(name);
    }
  }
  return changed_ ? publish() : Result<>{};
}

bool AddressPublisher::waiting() const {
  return std::ranges::any_of(hosts_, [](const auto& host) { return !host.second.answered; });
}

}  // namespace sluice::reconcile
