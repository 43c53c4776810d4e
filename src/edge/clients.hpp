// The client connections of one shard: how many there are, from where, and which of them go when
// there is no more room.
#pragma once

#include <cstdint>
#include <list>

#include "address_counts.hpp"
#include "sluice/relay/connection.hpp"

namespace sluice::edge {

using AddressBytes = AddressCounts::Address;

class Clients {
 public:
  using Place = std::list<relay::Client*>::iterator;

  /// `most` connections in all; `per_address_most` from one address, 0 = unlimited.
  Clients(std::uint32_t most, std::uint32_t per_address_most)
      : most_(most), addresses_(per_address_most) {}

  [[nodiscard]] bool full() const { return clients_.size() >= most_; }
  [[nodiscard]] bool empty() const { return clients_.empty(); }
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(clients_.size()); }
  /// Whether one more may come from there.
  [[nodiscard]] bool admits(const AddressBytes& address) const {
    return addresses_.admits(address);
  }

  /// `client` stays until remove().
  [[nodiscard]] Place add(relay::Client& client);
  void remove(Place place);

  /// When it is full, ends the connections that have been without a request for longest, so that
  /// those who come with one are served. Those that carry a request stay.
  void make_room(TimeNs now_ns);
  /// Ends connections without a request, since `idle_since_ns` or longer.
  void end_idle(TimeNs idle_since_ns);
  /// Requests that are open end with an error, connections without one at once.
  void end_requests();
  void abort_all();

 private:
  std::uint32_t most_;
  std::list<relay::Client*> clients_;
  AddressCounts addresses_;
};

}  // namespace sluice::edge
