#include "sluice/base/log_limit.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

std::optional<std::uint64_t> LogLimit::take(std::uint64_t subject, TimeNs now_ns) noexcept {
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.next_ns != 0 && entry.subject == subject;
  });
  if (known != entries_.end()) {
    if (now_ns < known->next_ns) {
      ++known->left_out;
      return std::nullopt;
    }
    known->next_ns = now_ns + kEvery;
    return std::exchange(known->left_out, 0);
  }
  Entry& oldest = *std::min_element(entries_.begin(), entries_.end(),
                                    [](auto& a, auto& b) { return a.next_ns < b.next_ns; });
  if (now_ns < oldest.next_ns) return std::nullopt;
  oldest = {.subject = subject, .next_ns = now_ns + kEvery, .left_out = 0};
  return 0;
}

}  // namespace sluice
