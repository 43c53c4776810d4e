// What the gateway's parser makes of streams, for the comparison with other servers: reads
// "LENGTH\n" and the bytes, writes one line: the outcome, a tab, the payload of all bodies in
// hexadecimal.
#include "../http/session.hpp"

#include <cstdio>
#include <iostream>

int main() {
  using namespace sluice::http;
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    std::string text(std::stoul(line), '\0');
    if (!std::cin.read(text.data(), static_cast<std::streamsize>(text.size()))) return 1;
    Session session;
    session.receive(text);
    std::cout << session.outcome() << '\t';
    constexpr char kDigits[] = "0123456789abcdef";
    for (const char c : session.bodies()) {
      const auto byte = static_cast<unsigned char>(c);
      std::cout << kDigits[byte >> 4U] << kDigits[byte & 15U];
    }
    std::cout << '\n' << std::flush;
  }
}
