// How many requests are under way at once on a shard that is full.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"

namespace sluice::relay {

/// As many are begun as end: fewer while turns take more of the shard's thread than they are to
/// take, more while they take less. So as much is under way as keeps the shard busy, and not ten
/// times as much, each for ten times as long and in no cache. Thread: its shard's.
class WorkLimit {
 public:
  /// Beyond this the shard has enough to do.
  static constexpr TimeNs kLongTurnNs = kMillisecond;
  /// What turns are to take.
  static constexpr TimeNs kShortTurnNs = kMillisecond / 6;

  /// At most `most` are begun at once.
  explicit WorkLimit(std::uint32_t most) : most_(most) {}

  void note_begun() { ++under_way_; }
  void note_ended() {
    ++ended_;
    --under_way_;
  }
  /// `took_ns`: of the thread's time, for what is under way; 0 = too little to be measured.
  void note_turn(TimeNs took_ns);

  [[nodiscard]] bool turns_are_long() const { return turn_ns_ > kLongTurnNs; }
  /// So few are under way that as many more are never too many.
  [[nodiscard]] std::uint32_t lacking() const;
  /// How many may be begun, by those that have ended since the last call and by `passed_ns` since
  /// then.
  [[nodiscard]] std::uint32_t replace(TimeNs passed_ns);
  /// Those that have ended need not be replaced.
  void forget_ended() { ended_ = 0; }

 private:
  std::uint32_t most_;
  std::uint32_t ended_ = 0;
  std::int64_t under_way_ = 0;
  TimeNs turn_ns_ = 0;  ///< what turns took of late
  double share_ = 0;    ///< of one more
};

}  // namespace sluice::relay
