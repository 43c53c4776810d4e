// What a supervisor says to a shard through its pipe: a letter, and behind `ticket_key` the key.
// One write each, short enough to be whole.
#pragma once

namespace sluice::edge {

enum class ShardCommand : char {
  drain = 'd',
  finish = 'u',      ///< others have taken over: no hurry
  files = 'c',       ///< read certificates and secrets anew
  ticket_key = 'k',  ///< TicketKeys::kKeyBytes follow
};

}  // namespace sluice::edge
