#include "mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sluice/base/crash_point.hpp"
#include "sluice/state/catalog_builder.hpp"

namespace sluice::state {
namespace {

constexpr std::uint64_t kOdd = 0x9E37'79B9'7F4A'7C15;  // 2^64 / golden ratio

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * kOdd;
  return hash ^ hash >> 32;
}

/// Hash of the file as its header claims it: with the hash field 0.
std::uint64_t content_hash(std::span<const std::byte> bytes) {
  SectionedHeader header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof(header));
  header.hash = 0;
  const std::uint64_t of_header = mix_bytes(std::as_bytes(std::span(&header, 1)));
  return mix_bytes(bytes.subspan(sizeof(header)), of_header);
}

}  // namespace

Result<std::unique_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(errno == ENOENT ? Errc::not_found : Errc::io, Source::self, Retry::no, errno);
  struct stat status{};
  if (fstat(fd, &status) != 0 || status.st_size <= 0) {
    close(fd);
    return fail(Errc::corrupt);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  if (memory == MAP_FAILED) return fail(Errc::io, Source::self, Retry::no, error);
  return std::unique_ptr<const MappedFile>(
      new MappedFile({static_cast<const std::byte*>(memory), size}));
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

std::uint64_t mix_bytes(std::span<const std::byte> bytes, std::uint64_t seed) {
  std::uint64_t hash = mix(seed, bytes.size());
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = mix(hash, word);
  }
  if (at < bytes.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, bytes.size() - at);
    hash = mix(hash, word);
  }
  return mix(hash, kOdd);
}

Result<> check_header(std::span<const std::byte> bytes, std::uint64_t magic, std::uint32_t layout,
                      std::uint64_t expected_hash) {
  if (bytes.size() < sizeof(SectionedHeader) ||
      reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) {
    return fail(Errc::corrupt);
  }
  const SectionedHeader& header = header_of(bytes);
  if (header.magic != magic || header.layout != layout || header.bytes != bytes.size() ||
      header.hash != content_hash(bytes)) {
    return fail(Errc::corrupt);
  }
  if (expected_hash != 0 && header.hash != expected_hash) return fail(Errc::corrupt);
  return {};
}

bool section_fits(std::span<const std::byte> bytes, std::size_t which, std::size_t row_bytes) {
  const SectionPlace& place = header_of(bytes).sections[which];
  return place.offset % 8 == 0 && place.offset >= sizeof(SectionedHeader) &&
         place.offset <= bytes.size() && place.rows <= (bytes.size() - place.offset) / row_bytes;
}

SectionWriter::SectionWriter(std::uint64_t magic, std::uint32_t layout, std::uint64_t generation) {
  header_.magic = magic;
  header_.layout = layout;
  header_.generation = generation;
  bytes_.resize(sizeof(header_));
  // Sections that nobody adds are empty, not outside.
  for (SectionPlace& place : header_.sections) place.offset = sizeof(header_);
}

void SectionWriter::add_bytes(std::size_t which, std::span<const std::byte> bytes,
                              std::size_t rows) {
  header_.sections[which] = {bytes_.size(), rows};
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  bytes_.resize((bytes_.size() + 7) / 8 * 8);
}

std::vector<std::byte> SectionWriter::finish() {
  header_.bytes = bytes_.size();
  header_.hash = 0;
  std::memcpy(bytes_.data(), &header_, sizeof(header_));
  header_.hash = content_hash(bytes_);
  std::memcpy(bytes_.data(), &header_, sizeof(header_));
  return std::move(bytes_);
}

std::uint64_t file_hash(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(SectionedHeader)) return 0;
  SectionedHeader header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof(header));
  return header.hash;
}

Result<> write_file(const std::string& directory, const std::string& name,
                    std::span<const std::byte> bytes) {
  const std::string path = directory + "/" + name;
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return fail(Errc::io, Source::self, Retry::no, errno);
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = write(fd, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += static_cast<std::size_t>(n);
  }
  const int error = errno;
  if (close(fd) != 0 || written != bytes.size()) {
    unlink(temporary.c_str());
    return fail(Errc::io, Source::self, Retry::no, error);
  }
  crash_point();
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return fail(Errc::io, Source::self, Retry::no, errno);
  crash_point();
  return {};
}

}  // namespace sluice::state
