// Memory that can fail: operator new of the whole program, malloc() of what is linked into it (by
// the linker's --wrap, LMDB above all) and SQLite's own.
#include <sqlite3.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "actor.hpp"

extern "C" {
void* __real_malloc(std::size_t bytes);
void* __real_calloc(std::size_t count, std::size_t bytes);
void* __real_realloc(void* old, std::size_t bytes);
char* __real_strdup(const char* text);
}

namespace {

bool none_left() { return sluice::sim::fails(sluice::sim::Inject::allocation); }

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

void* take(std::size_t bytes) {
  if (none_left()) return nullptr;
  return __real_malloc(bytes == 0 ? 1 : bytes);
}

void* take_or_throw(std::size_t bytes) {
  void* const memory = take(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

sqlite3_mem_methods sqlite_memory;

void* sqlite_malloc(int bytes) { return none_left() ? nullptr : sqlite_memory.xMalloc(bytes); }
void* sqlite_realloc(void* old, int bytes) {
  return none_left() ? nullptr : sqlite_memory.xRealloc(old, bytes);
}

}  // namespace

namespace sluice::sim {

void watch_memory_of_sqlite() {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory);
  static sqlite3_mem_methods watched = sqlite_memory;
  watched.xMalloc = sqlite_malloc;
  watched.xRealloc = sqlite_realloc;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &watched);
}

}  // namespace sluice::sim

#define SLUICE_OVER __attribute__((visibility("default"), used))

extern "C" {
SLUICE_OVER void* __wrap_malloc(std::size_t bytes) {
  return none_left() ? no_memory() : __real_malloc(bytes);
}
SLUICE_OVER void* __wrap_calloc(std::size_t count, std::size_t bytes) {
  return none_left() ? no_memory() : __real_calloc(count, bytes);
}
SLUICE_OVER void* __wrap_realloc(void* old, std::size_t bytes) {
  return none_left() ? no_memory() : __real_realloc(old, bytes);
}
SLUICE_OVER char* __wrap_strdup(const char* text) {
  if (none_left()) return static_cast<char*>(no_memory());
  return __real_strdup(text);
}
}

SLUICE_OVER void* operator new(std::size_t bytes) { return take_or_throw(bytes); }
SLUICE_OVER void* operator new[](std::size_t bytes) { return take_or_throw(bytes); }
SLUICE_OVER void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes);
}
SLUICE_OVER void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes);
}
SLUICE_OVER void operator delete(void* memory) noexcept { std::free(memory); }
SLUICE_OVER void operator delete[](void* memory) noexcept { std::free(memory); }
SLUICE_OVER void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
SLUICE_OVER void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
SLUICE_OVER void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
SLUICE_OVER void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
