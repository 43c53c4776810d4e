#include "clients.hpp"

#include <algorithm>
#include <vector>

namespace sluice::edge {
namespace {

// A part of all that makes room at a time: it is looked for once a tick.
constexpr std::uint32_t kRoomPart = 16;
// Who has just come, or was just answered, may be about to ask.
constexpr TimeNs kLeastIdleNs = kSecond;

}  // namespace

Clients::Place Clients::add(relay::Client& client) {
  addresses_.enter(client.address_v6);
  return clients_.insert(clients_.end(), &client);
}

void Clients::remove(Place place) {
  addresses_.leave((*place)->address_v6);
  clients_.erase(place);
}

void Clients::make_room(TimeNs now_ns) {
  if (!full()) return;
  std::vector<relay::Client*> idle;
  for (relay::Client* client : clients_) {
    const bool waits = client->exchange == nullptr && client->stream->end().code == Errc::none;
    if (waits && client->idle_since_ns <= now_ns - kLeastIdleNs) idle.push_back(client);
  }
  const auto count = std::min<std::size_t>(idle.size(), most_ / kRoomPart + 1);
  const auto part = idle.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(idle.begin(), part, idle.end(), [](const auto* one, const auto* other) {
    return one->idle_since_ns < other->idle_since_ns;
  });
  std::for_each(idle.begin(), part, [](relay::Client* client) { client->stream->abort(); });
}

void Clients::end_idle(TimeNs idle_since_ns) {
  for (relay::Client* client : clients_) {
    const bool idle = client->exchange == nullptr && client->idle_since_ns <= idle_since_ns;
    if (idle) client->stream->abort();
  }
}

void Clients::end_requests() {
  for (relay::Client* client : clients_) {
    if (client->exchange == nullptr) client->stream->abort();
    relay::end_request(*client);
  }
}

void Clients::abort_all() {
  for (relay::Client* client : clients_) client->stream->abort();
}

}  // namespace sluice::edge
