#include "sluice/relay/unknown_keys.hpp"

#include <algorithm>
#include <cstring>

#include "sluice/base/ip_address.hpp"

namespace sluice::relay {
namespace {

constexpr TimeNs kMinuteNs = 60 * kSecond;

// The finaliser of SplitMix64.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31U);
}

std::uint64_t word(const std::uint8_t* bytes) {
  std::uint64_t out = 0;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

}  // namespace

UnknownKeys::UnknownKeys(std::uint32_t a_minute, std::uint64_t seed)
    : interval_ns_(a_minute == 0 ? 0 : kMinuteNs / a_minute), seed_(seed) {
  if (a_minute != 0) good_ = std::make_unique<std::array<std::uint64_t, kGoodKeys>>();
}

std::uint64_t UnknownKeys::tag_of(const Address& address) const {
  const IpAddress network = customer_network({address});
  return mix(mix(word(network.bytes.data()) ^ seed_) + word(network.bytes.data() + 8));
}

TimeNs UnknownKeys::wait_ns(const Address& address, const Digest256& key, TimeNs now_ns) const {
  if (!failures_) return 0;
  const std::uint64_t tag = tag_of(address);
  const Set& set = (*failures_)[tag % kSets];
  const auto found = std::ranges::find(set, tag, &Entry::tag);
  if (found == set.end()) return 0;
  const TimeNs wait_ns = found->arrival_ns + interval_ns_ - kMinuteNs - now_ns;
  if (wait_ns <= 0) return 0;
  const std::uint64_t good = (*good_)[word(key.data()) % kGoodKeys];
  return good == (word(key.data() + 8) ^ tag) ? 0 : wait_ns;
}

void UnknownKeys::note_unknown(const Address& address, TimeNs now_ns) {
  if (interval_ns_ == 0) return;
  if (!failures_) failures_ = std::make_unique<std::array<Set, kSets>>();
  const std::uint64_t tag = tag_of(address);
  Set& set = (*failures_)[tag % kSets];
  auto place = std::ranges::find(set, tag, &Entry::tag);
  if (place == set.end()) {
    place = std::ranges::min_element(set, {}, &Entry::arrival_ns);
    *place = {.tag = tag, .arrival_ns = 0};
  }
  place->arrival_ns = std::max(place->arrival_ns, now_ns) + interval_ns_;
}

void UnknownKeys::note_good(const Address& address, const Digest256& key) {
  if (interval_ns_ == 0) return;
  (*good_)[word(key.data()) % kGoodKeys] = word(key.data() + 8) ^ tag_of(address);
}

}  // namespace sluice::relay
