// A head that arrives in pieces: its bytes are put together and its parser's state is kept apart
// from the shard's.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::relay {

/// Bytes that may hold a client's key: no copy of them is left behind.
class HeadBytes {
 public:
  HeadBytes() = default;
  HeadBytes(const HeadBytes&) = delete;
  HeadBytes& operator=(const HeadBytes&) = delete;
  ~HeadBytes() { explicit_bzero(bytes_.data(), bytes_.size()); }

  void append(std::string_view more) {
    if (bytes_.capacity() - bytes_.size() < more.size()) {
      std::string larger;
      larger.reserve(2 * (bytes_.size() + more.size()));
      larger.append(bytes_);
      explicit_bzero(bytes_.data(), bytes_.size());
      bytes_ = std::move(larger);
    }
    bytes_.append(more);
  }
  [[nodiscard]] std::span<const char> view() const { return bytes_; }

 private:
  std::string bytes_;
};

template <class Parser>
struct SlowHead {
  explicit SlowHead(const Parser& begun) : parser(begun) {}
  HeadBytes bytes;
  Parser parser;
};

/// Goes on with what the shard's parser has read of `bytes`. Out of line, or the frame of every
/// reader has room for a parser.
template <class Parser>
[[gnu::noinline]] std::unique_ptr<SlowHead<Parser>> make_slow(std::string_view bytes,
                                                              const Parser& parser) {
  auto slow = std::make_unique<SlowHead<Parser>>(parser);
  slow->bytes.append(bytes);
  return slow;
}

}  // namespace sluice::relay
