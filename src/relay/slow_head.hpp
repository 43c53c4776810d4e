// A head that arrives in pieces: its bytes are put together and its parser's state is kept apart
// from the shard's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sluice::relay {

template <class Parser>
struct SlowHead {
  std::string bytes;
  Parser parser;
};

/// Goes on with what the shard's parser has read of `bytes`. Out of line, or the frame of every
/// reader has room for a parser.
template <class Parser>
[[gnu::noinline]] std::unique_ptr<SlowHead<Parser>> make_slow(std::string_view bytes,
                                                              const Parser& parser) {
  return std::make_unique<SlowHead<Parser>>(SlowHead<Parser>{std::string(bytes), parser});
}

}  // namespace sluice::relay
