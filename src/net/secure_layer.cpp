#include "secure_layer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::net {
namespace {

// A flight of the handshake with a certificate chain of a few KB fits; more is taken in several
// rounds.
constexpr std::size_t kOutboxBytes = 16 * 1024;

struct RecordScratch {
  std::array<char, tls::kMaxRecordPlaintext> plaintext;
  std::array<char, kOutboxBytes> control;
};

RecordScratch& scratch() {
  thread_local RecordScratch shared;
  return shared;
}

std::size_t bytes_of(std::span<const iovec> text) {
  std::size_t bytes = 0;
  for (const iovec& piece : text) bytes += piece.iov_len;
  return bytes;
}

// The text of a send as the records want it: small pieces, a chunk's frame and its data, share one,
// since each costs a call of the cipher, 22 bytes and the same again at the other end.
class RecordText {
 public:
  explicit RecordText(std::span<const iovec> pieces) : pieces_(pieces) {}

  /// The next bytes, at most `most` and a record's; valid until the next call.
  [[nodiscard]] std::span<const char> next(std::size_t most) {
    most = std::min(most, tls::kMaxRecordPlaintext);
    if (pieces_.size() == 1 || front().size() >= kGatherBelow) {
      return front().first(std::min(front().size(), most));
    }
    char* const room = scratch().plaintext.data();
    std::size_t used = 0;
    for (std::size_t i = 0, at = at_; i < pieces_.size() && used < most; ++i, at = 0) {
      const std::size_t bytes = pieces_[i].iov_len - at;
      if (i > 0 && bytes >= kGatherBelow) break;
      const std::size_t count = std::min(bytes, most - used);
      std::memcpy(room + used, static_cast<const char*>(pieces_[i].iov_base) + at, count);
      used += count;
    }
    return {room, used};
  }
  void drop(std::size_t bytes) {
    at_ += bytes;
    while (!pieces_.empty() && at_ >= pieces_.front().iov_len) {
      at_ -= pieces_.front().iov_len;
      pieces_ = pieces_.subspan(1);
    }
  }

 private:
  /// Copying more than this costs what the record would.
  static constexpr std::size_t kGatherBelow = 4096;

  [[nodiscard]] std::span<const char> front() const {
    return {static_cast<const char*>(pieces_.front().iov_base) + at_,
            pieces_.front().iov_len - at_};
  }

  std::span<const iovec> pieces_;
  std::size_t at_ = 0;  ///< bytes of the first piece that are gone
};

}  // namespace

// Runs one step of the engine with an outbox, and keeps what it put there.
template <class Step>
Result<> SecureLayer::with_outbox(Step step) {
  tls::Outbox out{.room = scratch().control, .used = 0};
  const Result<> result = step(out);
  control_.append(out.room.data(), out.used);
  return result;
}

Result<> SecureLayer::begin() {
  return with_outbox([&](tls::Outbox& out) -> Result<> {
    const auto received = engine_.receive({}, scratch().plaintext, out);
    if (!received) return std::unexpected(received.error());
    return {};
  });
}

Result<> SecureLayer::feed_step(ring::Piece& ciphertext, ring::PieceQueue& plaintext) {
  return with_outbox([&](tls::Outbox& out) -> Result<> {
    const auto received = engine_.receive(ciphertext.view(), scratch().plaintext, out);
    if (!received) return std::unexpected(received.error());
    ciphertext.drop_front(received->consumed_bytes);
    if (received->plaintext_bytes > 0) {
      ring::Piece piece = ring::Piece::on_heap(received->plaintext_bytes);
      std::memcpy(piece.data(), scratch().plaintext.data(), received->plaintext_bytes);
      // Perhaps a client's key, which goes from the piece as soon as it was read.
      explicit_bzero(scratch().plaintext.data(), received->plaintext_bytes);
      plaintext.push(std::move(piece));
    }
    return {};
  });
}

Result<> SecureLayer::feed(ring::Piece ciphertext, ring::PieceQueue& plaintext) {
  do {
    const Result<> step = feed_step(ciphertext, plaintext);
    if (!step) {
      // An alert that did not fit the outbox.
      while (engine_.has_more()) static_cast<void>(feed_step(ciphertext, plaintext));
      return step;
    }
    // The engine bounds what a peer gets for nothing; one that sends data between its key updates
    // and never reads the answers meets this bound.
    if (control_.size() > kControlBytes) {
      flooded_ = true;
      std::string().swap(control_);
      return fail(Errc::tls_failed, peer_);
    }
  } while (engine_.state() != tls::State::peer_closed &&
           (!ciphertext.empty() || engine_.has_more()));
  return {};
}

Result<ring::Piece> SecureLayer::encrypt(std::span<const iovec> text, std::size_t& taken) {
  taken = 0;
  if (send_error_.code != Errc::none) return std::unexpected(send_error_);
  const std::size_t plain = std::min(bytes_of(text), kEncryptBytes);
  const std::size_t records = plain / tls::kMaxRecordPlaintext + text.size() + 1;
  if (plain == 0 && control_.empty()) return ring::Piece();
  ring::Piece cipher =
      ring::Piece::on_heap(control_.size() + plain + records * tls::kRecordOverhead);
  std::memcpy(cipher.data(), control_.data(), control_.size());
  tls::Outbox out{.room = {cipher.data(), cipher.size()}, .used = control_.size()};
  std::string().swap(control_);  // rare, but as large as a flight: idle streams keep none of it
  RecordText rest(text);
  while (taken < plain) {
    const std::span<const char> record = rest.next(plain - taken);
    const auto sent = engine_.send(record, out);
    if (!sent && out.used == 0) return std::unexpected(sent.error());
    // What is there already goes first, an alert perhaps; the next call fails.
    if (!sent || *sent == 0) break;
    rest.drop(*sent);
    taken += *sent;
  }
  cipher.truncate(out.used);
  return cipher;
}

bool SecureLayer::close() {
  static_cast<void>(with_outbox([&](tls::Outbox& out) -> Result<> {
    engine_.close(out);
    return {};
  }));
  return has_control();
}

void SecureLayer::break_sending(const Error& error) {
  send_error_ = error;
  std::string().swap(control_);
}

std::string_view SecureLayer::failure() const {
  return flooded_ ? "peer does not read the answers that it asks for" : engine_.failure();
}

}  // namespace sluice::net
