// What a supervisor leaves to the program that takes its place under the same process id: its
// listening sockets and its shards, which go on meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::edge {

struct Handover {
  struct Socket {
    int fd = -1;
    std::string address;  ///< as the configuration named it
    friend bool operator==(const Socket&, const Socket&) = default;
  };
  struct Elder {
    pid_t pid = -1;
    int control = -1;  ///< our end of its pipe
    friend bool operator==(const Elder&, const Elder&) = default;
  };
  std::uint64_t generation = 1;  ///< of the one that takes over
  std::vector<Socket> listening;
  std::vector<Socket> pages;  ///< the operator's listener: one or none
  std::vector<Elder> elders;
  friend bool operator==(const Handover&, const Handover&) = default;
};

/// One word for a command line: "GENERATION;lFD=ADDRESS;mFD=ADDRESS;sPID:CONTROL".
[[nodiscard]] std::string to_text(const Handover& handover);
/// Nothing when the text was not made by to_text().
[[nodiscard]] std::optional<Handover> parse_handover(std::string_view text);

/// Whether the descriptors of `handover` outlive an exec.
void set_inherited(const Handover& handover, bool inherited);

}  // namespace sluice::edge
