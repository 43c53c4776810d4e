// Which share of the new requests a shard takes when it cannot keep up with all.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"

namespace sluice::relay {

/// Whatever arrives waits behind all that has arrived before it, the chunks of open streams and
/// requests that will be refused alike. Only when the shortest such wait of a while is too long is
/// it a queue that stands and not a burst (CoDel, RFC 8289): then some requests are refused at
/// once, so that the others are served as well as ever. Does not allocate.
class Shedding {
 public:
  /// Samples that must be late in a row before anything is refused.
  static constexpr std::uint32_t kPatience = 25;

  /// `most_ns`: a longer wait is late; 0 = nothing is ever refused.
  explicit Shedding(TimeNs most_ns) : most_ns_(most_ns) {}

  /// A sample, every tick: how long a message waited before it was looked at.
  void note_wait(TimeNs wait_ns);
  /// Whether the next new request is taken.
  [[nodiscard]] bool takes();
  /// Share of requests that is taken, 1 = all.
  [[nodiscard]] double share() const { return static_cast<double>(share_) / kAll; }

 private:
  static constexpr std::uint32_t kAll = 1024;

  TimeNs most_ns_;
  std::uint32_t late_in_a_row_ = 0;
  std::uint32_t share_ = kAll;
  std::uint32_t credit_ = 0;
};

}  // namespace sluice::relay
