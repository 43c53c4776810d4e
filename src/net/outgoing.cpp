#include "outgoing.hpp"

#include <cstring>
#include <utility>

namespace sluice::net {

void Stream::Outgoing::advance(std::size_t bytes) noexcept {
  while (bytes > 0) {
    iovec& piece = rest.front();
    if (bytes < piece.iov_len) {
      piece.iov_base = static_cast<char*>(piece.iov_base) + bytes;
      piece.iov_len -= bytes;
      return;
    }
    bytes -= piece.iov_len;
    rest = rest.subspan(1);
  }
}

void Stream::Outgoing::set_aside() {
  std::size_t bytes = 0;
  for (const iovec& piece : rest) bytes += piece.iov_len;
  ring::Piece copy = ring::Piece::on_heap(bytes);
  char* to = copy.data();
  for (const iovec& piece : rest) {
    std::memcpy(to, piece.iov_base, piece.iov_len);
    to += piece.iov_len;
  }
  aside = std::move(copy);
  rest = rest.first(1);
  rest.front() = {aside.data(), aside.size()};
}

}  // namespace sluice::net
