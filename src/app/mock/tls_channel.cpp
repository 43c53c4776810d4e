#include "tls_channel.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace sluice::mock {
namespace {

constexpr std::size_t kRoom = 80 * 1024;

// One thread: a scratch area for records, emptied before each return.
std::span<char> room() {
  static thread_local std::array<char, kRoom> bytes;
  return bytes;
}

void take(tls::Outbox& outbox, std::string& out) {
  out.append(outbox.room.data(), outbox.used);
  outbox.used = 0;
}

}  // namespace

bool TlsChannel::receive(std::string_view ciphertext, std::string& plaintext, std::string& reply) {
  waiting_.append(ciphertext);
  tls::Outbox outbox{room()};
  std::array<char, tls::kMaxRecordPlaintext> text;
  std::size_t used = 0;
  bool good = true;
  bool more = true;
  while (more) {
    const std::span<const char> rest(waiting_.data() + used, waiting_.size() - used);
    const auto received = engine_.receive(rest, text, outbox);
    const bool replied = outbox.used > 0;
    take(outbox, reply);
    good = received.has_value() && engine_.state() != tls::State::failed;
    if (!good) break;
    used += received->consumed_bytes;
    plaintext.append(text.data(), received->plaintext_bytes);
    const bool progress = replied || received->consumed_bytes + received->plaintext_bytes > 0;
    more = progress && (engine_.has_more() || used < waiting_.size());
  }
  waiting_.erase(0, used);
  return good;
}

void TlsChannel::send(std::string_view plaintext, std::string& out) {
  tls::Outbox outbox{room()};
  while (!plaintext.empty()) {
    const auto sent = engine_.send(plaintext, outbox);
    take(outbox, out);
    if (!sent || *sent == 0) return;  // failed: the socket's end will show
    plaintext.remove_prefix(*sent);
  }
}

void TlsChannel::close(std::string& out) {
  tls::Outbox outbox{room()};
  engine_.close(outbox);
  take(outbox, out);
}

}  // namespace sluice::mock
