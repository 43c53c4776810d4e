#include "client_hello.hpp"

#include <cstring>
#include <string>

namespace sluice::edge {
namespace {

constexpr std::size_t kHeaderBytes = 5;  // type, version, length (RFC 8446 §5.1)
constexpr char kHandshake = 0x16;

/// Length of the record that begins with `bytes`; 0 = it is none that needs to be whole.
std::size_t record_bytes(std::string_view bytes) {
  if (bytes[0] != kHandshake) return 0;
  if (bytes.size() < kHeaderBytes) return kHeaderBytes;
  const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  return kHeaderBytes + (std::size_t{octet(3)} << 8U | octet(4));
}

}  // namespace

ring::Task<Result<>> await_client_hello(net::Stream& stream, TimeNs deadline_ns) {
  std::string joined;  // of a client that sends its first record in pieces
  for (;;) {
    Result<ring::Piece> received = co_await stream.receive(deadline_ns);
    if (!received) co_return std::unexpected(received.error());
    ring::Piece piece = std::move(*received);
    const std::string_view bytes = piece.view();
    if (joined.empty() && bytes.size() >= record_bytes(bytes)) {
      stream.unread(std::move(piece));
      co_return Result<>{};
    }
    joined.append(bytes);
    if (joined.size() < record_bytes(joined)) continue;
    ring::Piece whole = ring::Piece::on_heap(joined.size());
    std::memcpy(whole.data(), joined.data(), joined.size());
    stream.unread(std::move(whole));
    co_return Result<>{};
  }
}

}  // namespace sluice::edge
