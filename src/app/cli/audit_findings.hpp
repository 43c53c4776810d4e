// What an audit found: one line an invariant, with the first place where it does not hold.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace sluice::cli {

struct Finding {
  std::string invariant;  ///< of design.md §3: "I1" … "I9"
  std::string what;       ///< what holds when nothing is wrong
  std::int64_t checked = 0;
  std::int64_t wrong = 0;
  std::string where;  ///< the first that is wrong, named, with both numbers
  std::string sums;   ///< totals, for people

  /// Counts one check. `say()` gives the text of `where`; it is called for the first failure only.
  template <class Say>
  void expect(bool holds, Say say) {
    ++checked;
    if (!holds && wrong++ == 0) where = say();
  }
};

/// In the order in which they are reported: records before the sums that rest on them.
class Findings {
 public:
  /// The reference stays valid.
  Finding& add(std::string invariant, std::string what) {
    all_.push_back({.invariant = std::move(invariant), .what = std::move(what)});
    return all_.back();
  }
  [[nodiscard]] const std::deque<Finding>& all() const { return all_; }

 private:
  std::deque<Finding> all_;
};

}  // namespace sluice::cli
