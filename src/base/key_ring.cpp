#include "sluice/base/key_ring.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "sluice/base/assert.hpp"

namespace sluice {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
// "4294967295 " and 64 digits.
constexpr std::size_t kMostLineBytes = 11 + 64 + 1;

/// One line without its end. Version 0 is an error.
KeyRing::Entry parse_line(std::string_view line) {
  KeyRing::Entry entry;
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.size() - blank != 65) return {};
  const auto [end, error] = std::from_chars(line.data(), line.data() + blank, entry.version);
  if (error != std::errc{} || end != line.data() + blank) return {};
  for (std::size_t i = 0; i < entry.key.size(); ++i) {
    const std::size_t high = kDigits.find(line[blank + 1 + 2 * i]);
    const std::size_t low = kDigits.find(line[blank + 2 + 2 * i]);
    if (high == std::string_view::npos || low == std::string_view::npos) return {};
    entry.key[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  return entry;
}

}  // namespace

KeyRing::~KeyRing() { explicit_bzero(entries_.data(), sizeof entries_); }

Result<KeyRing> KeyRing::parse(std::string_view bytes) {
  KeyRing ring;
  if (bytes.size() == sizeof(Key256)) {
    ring.count_ = 1;
    ring.entries_[0].version = 1;
    std::memcpy(ring.entries_[0].key.data(), bytes.data(), bytes.size());
    return ring;
  }
  std::uint64_t below = 1ULL << 32U;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos || ring.full()) return fail(Errc::bad_value);
    Entry& entry = ring.entries_[ring.count_++];
    entry = parse_line(bytes.substr(0, end));
    if (entry.version == 0 || entry.version >= below) return fail(Errc::bad_value);
    below = entry.version;
    bytes.remove_prefix(end + 1);
  }
  if (ring.empty()) return fail(Errc::bad_value);
  return ring;
}

std::string KeyRing::text() const {
  std::string out;
  out.reserve(kMost * kMostLineBytes);  // no copy of it is left behind
  for (const Entry& entry : entries()) {
    out += std::to_string(entry.version) + ' ';
    for (const std::uint8_t byte : entry.key) {
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
    out += '\n';
  }
  return out;
}

void KeyRing::add(const Key256& key) {
  SLUICE_ASSERT(!full());
  const std::uint32_t version = empty() ? 1 : newest().version + 1;
  std::move_backward(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count_),
                     entries_.begin() + static_cast<std::ptrdiff_t>(count_) + 1);
  entries_.front() = {version, key};
  ++count_;
}

bool KeyRing::remove(std::uint32_t version) {
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(count_);
  const auto found = std::find_if(entries_.begin(), end,
                                  [&](const Entry& entry) { return entry.version == version; });
  if (found == end) return false;
  std::move(found + 1, end, found);
  explicit_bzero(&entries_[--count_], sizeof(Entry));
  return true;
}

Result<KeyRing> read_key_ring(const std::string& path, Readers readers, std::string& message) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    message = path + ": " + std::strerror(errno);
    return fail(Errc::not_found, Source::self, Retry::no, errno);
  }
  struct stat info{};
  std::array<char, KeyRing::kMost * kMostLineBytes + 1> bytes{};
  const bool known = ::fstat(fd, &info) == 0;
  const ssize_t count = ::read(fd, bytes.data(), bytes.size());
  ::close(fd);
  const mode_t others = S_IWGRP | S_IRWXO | (readers == Readers::nobody ? S_IRWXG : 0U);
  auto ring = !known || count < 0 ? fail(Errc::bad_value)
                                  : KeyRing::parse({bytes.data(), static_cast<std::size_t>(count)});
  explicit_bzero(bytes.data(), bytes.size());
  if ((info.st_mode & others) != 0) {
    message = path + ": others than its owner may read or write it (chmod 0400)";
    return fail(Errc::forbidden);
  }
  if (!ring) message = path + ": must hold exactly 32 bytes, or a line for each version";
  return ring;
}

}  // namespace sluice
