// Assertions that stay on in release. They state what only a mistake in this program can break;
// bytes from outside never reach one.
#pragma once

namespace sluice {
/// Prints the condition and its place to stderr and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace sluice

#define SLUICE_ASSERT(condition)                     \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::sluice::assertion_failed(#condition, __FILE__, __LINE__))
