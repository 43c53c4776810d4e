// A smoke test: two TLS engines talk, and the input changes bytes of their records on the way.
// Nothing is received that was not sent, and nothing breaks. wolfSSL draws its own random numbers:
// an input says where, not what.
#include "../tls/link.hpp"
#include "fuzz.hpp"

namespace sluice::tls {
namespace {

/// One change on the way: at the n-th byte of a direction.
struct Change {
  bool to_server;
  std::size_t at;
  std::uint8_t how;
  std::uint8_t value;
};

std::vector<Change> changes_of(const std::uint8_t* data, std::size_t size) {
  std::vector<Change> changes;
  for (std::size_t i = 0; i + 4 <= size && changes.size() < 8; i += 4) {
    changes.push_back({(data[i] & 1) != 0, (data[i] >> 4) * std::size_t{256} + data[i + 1],
                       data[i + 2], data[i + 3]});
  }
  return changes;
}

class Wire {
 public:
  Wire(Link& link, std::vector<Change> changes) : link_(link), changes_(std::move(changes)) {}

  bool carry() {
    const bool up = move(link_.client, link_.server, true, up_bytes_);
    const bool down = move(link_.server, link_.client, false, down_bytes_);
    return up || down;
  }

  void run() {
    for (int quiet = 0, turns = 0; quiet < 3 && turns < 200; ++turns) {
      bool moved = link_.client.step(SIZE_MAX, 512);
      moved |= link_.server.step(SIZE_MAX, 512);
      moved |= carry();
      quiet = moved ? 0 : quiet + 1;
    }
  }

 private:
  bool move(Side& from, Side& to, bool to_server, std::size_t& carried) {
    std::string bytes(from.out.pending().data(), from.out.used);
    from.out.used = 0;
    const std::size_t end = carried + bytes.size();
    for (const Change& change : changes_) {
      if (change.to_server != to_server || change.at < carried || change.at >= end) continue;
      const std::size_t at = std::min(change.at - carried, bytes.size());
      apply(change, at, bytes);
    }
    carried = end;
    to.arrived += bytes;
    return !bytes.empty();
  }

  static void apply(const Change& change, std::size_t at, std::string& bytes) {
    switch (change.how % 4) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ change.value);
        break;
      case 1:
        bytes.insert(at, std::string(change.value, static_cast<char>(change.how)));
        break;
      case 2:
        bytes.erase(at, change.value);
        break;
      default:
        bytes.insert(at, bytes.substr(0, change.value));
    }
  }

  Link& link_;
  std::vector<Change> changes_;
  std::size_t up_bytes_ = 0;
  std::size_t down_bytes_ = 0;
};

void talk(const ServerContext& server, const ClientContext& client, std::vector<Change> changes) {
  const bool untouched = changes.empty();
  Link link(server, client);
  Wire wire(link, std::move(changes));
  wire.run();
  const std::string up(3000, 'u');
  const std::string down(9000, 'd');
  static_cast<void>(link.client.engine.send(up, link.client.out));
  static_cast<void>(link.server.engine.send(down, link.server.out));
  wire.run();
  link.client.engine.close(link.client.out);
  wire.run();
  fuzz::check(up.starts_with(link.server.text), "the server gets what was sent", link.server.text);
  fuzz::check(down.starts_with(link.client.text), "the client gets what was sent",
              link.client.text);
  if (untouched) {
    fuzz::check(link.server.text == up && link.client.text == down,
                "all of it, where nothing is changed");
  }
}

}  // namespace
}  // namespace sluice::tls

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::tls;
  static const ServerContext server = server_context("good");
  static const ClientContext client = client_context();
  static const bool once = (talk(server, client, {}), true);
  static_cast<void>(once);
  if (size >= 4) talk(server, client, changes_of(data, size));
  return 0;
}
