// Random edits for tests of what must hold for any input.
#pragma once

#include <cstdlib>
#include <random>
#include <string>

namespace sluice::http {

// A longer run by hand: SLUICE_TEST_ROUNDS=1000 SLUICE_TEST_SEED=7 http_test
// --gtest_filter=*Mutated
inline int from_environment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoi(text);
}
inline int mutation_rounds() { return from_environment("SLUICE_TEST_ROUNDS", 10); }
inline unsigned mutation_seed() {
  return static_cast<unsigned>(from_environment("SLUICE_TEST_SEED", 1));
}

/// One random edit: a byte changed, put in, taken out, or a run of bytes repeated.
inline std::string mutate(std::string text, std::mt19937& random) {
  static const std::string marks = std::string("\r\n \t:;,=\"\\0aF_-\x7f\x80", 17) + '\0';
  const std::size_t at = random() % text.size();
  const char byte =
      random() % 4 == 0 ? static_cast<char>(random()) : marks[random() % marks.size()];
  switch (random() % 4) {
    case 0:
      text[at] = byte;
      break;
    case 1:
      text.insert(at, 1, byte);
      break;
    case 2:
      text.erase(at, 1 + random() % 3);
      break;
    default:
      text.insert(at, text.substr(random() % text.size(), random() % 40));
      break;
  }
  return text;
}

}  // namespace sluice::http
