#include "recorded_disk.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <utility>

namespace sluice::ledger {
namespace {

constexpr std::size_t kSector = 512;
RecordedDisk* the_disk = nullptr;

sqlite3_vfs* real_vfs() {
  static sqlite3_vfs* const real = sqlite3_vfs_find("unix");
  return real;
}

std::string base_name(const char* path) {
  const std::string text = path == nullptr ? "" : path;
  return text.substr(text.rfind('/') + 1);
}

/// SQLite gives the memory: this, and behind it the real file.
struct File {
  sqlite3_file base{};
  std::string* name = nullptr;
};

sqlite3_file* real_of(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1);
}
const sqlite3_io_methods& methods_of(sqlite3_file* file) { return *real_of(file)->pMethods; }

void note(sqlite3_file* file, DiskEvent::Kind kind, std::int64_t at = 0, std::string bytes = {}) {
  if (the_disk == nullptr) return;
  the_disk->note({kind, *reinterpret_cast<File*>(file)->name, at, std::move(bytes)});
}

int close_file(sqlite3_file* file) {
  delete reinterpret_cast<File*>(file)->name;
  return methods_of(file).xClose(real_of(file));
}
int read_file(sqlite3_file* file, void* out, int bytes, sqlite3_int64 at) {
  return methods_of(file).xRead(real_of(file), out, bytes, at);
}
int write_file(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 at) {
  note(file, DiskEvent::Kind::write, at,
       std::string(static_cast<const char*>(from), static_cast<std::size_t>(bytes)));
  return methods_of(file).xWrite(real_of(file), from, bytes, at);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 bytes) {
  note(file, DiskEvent::Kind::truncate, bytes);
  return methods_of(file).xTruncate(real_of(file), bytes);
}
int sync_file(sqlite3_file* file, int flags) {
  const int rc = methods_of(file).xSync(real_of(file), flags);
  if (rc == SQLITE_OK) note(file, DiskEvent::Kind::sync);
  return rc;
}
int file_size(sqlite3_file* file, sqlite3_int64* out) {
  return methods_of(file).xFileSize(real_of(file), out);
}
int lock(sqlite3_file* file, int level) { return methods_of(file).xLock(real_of(file), level); }
int unlock(sqlite3_file* file, int level) { return methods_of(file).xUnlock(real_of(file), level); }
int check_lock(sqlite3_file* file, int* out) {
  return methods_of(file).xCheckReservedLock(real_of(file), out);
}
int file_control(sqlite3_file* file, int op, void* argument) {
  return methods_of(file).xFileControl(real_of(file), op, argument);
}
int sector_size(sqlite3_file* file) { return methods_of(file).xSectorSize(real_of(file)); }
int characteristics(sqlite3_file* file) {
  return methods_of(file).xDeviceCharacteristics(real_of(file));
}
// The index of the log is memory: a power cut takes it whole.
int shm_map(sqlite3_file* file, int page, int bytes, int extend, void volatile** out) {
  return methods_of(file).xShmMap(real_of(file), page, bytes, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return methods_of(file).xShmLock(real_of(file), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) { methods_of(file).xShmBarrier(real_of(file)); }
int shm_unmap(sqlite3_file* file, int remove) {
  return methods_of(file).xShmUnmap(real_of(file), remove);
}

const sqlite3_io_methods kMethods = {.iVersion = 2,  // without mapped reads
                                     .xClose = close_file,
                                     .xRead = read_file,
                                     .xWrite = write_file,
                                     .xTruncate = truncate_file,
                                     .xSync = sync_file,
                                     .xFileSize = file_size,
                                     .xLock = lock,
                                     .xUnlock = unlock,
                                     .xCheckReservedLock = check_lock,
                                     .xFileControl = file_control,
                                     .xSectorSize = sector_size,
                                     .xDeviceCharacteristics = characteristics,
                                     .xShmMap = shm_map,
                                     .xShmLock = shm_lock,
                                     .xShmBarrier = shm_barrier,
                                     .xShmUnmap = shm_unmap};

int open_file(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  const int rc = real_vfs()->xOpen(real_vfs(), path, real_of(file), flags, out_flags);
  file->pMethods = nullptr;
  if (rc != SQLITE_OK) return rc;
  reinterpret_cast<File*>(file)->name = new std::string(base_name(path));
  file->pMethods = &kMethods;
  return rc;
}

int remove_file(sqlite3_vfs*, const char* path, int sync_directory) {
  if (the_disk != nullptr)
    the_disk->note({DiskEvent::Kind::remove, base_name(path), sync_directory, {}});
  return real_vfs()->xDelete(real_vfs(), path, sync_directory);
}

sqlite3_vfs& recording_vfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs made = *real_vfs();
    made.zName = "recorded";
    made.szOsFile = static_cast<int>(sizeof(File)) + real_vfs()->szOsFile;
    made.xOpen = open_file;
    made.xDelete = remove_file;
    return made;
  }();
  return vfs;
}

/// What of one file is certain, and what is on its way.
struct FileState {
  std::string durable;
  bool there = false;
  std::vector<const DiskEvent*> pending;
};

void put_bytes(std::string& content, std::size_t at, std::string_view bytes) {
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size());
  std::memcpy(content.data() + at, bytes.data(), bytes.size());
}

void apply(FileState& file, const DiskEvent& event) {
  if (event.kind == DiskEvent::Kind::remove) {
    file.there = false;
    file.durable.clear();
    return;
  }
  file.there = true;
  if (event.kind == DiskEvent::Kind::write)
    put_bytes(file.durable, static_cast<std::size_t>(event.at), event.bytes);
  else
    file.durable.resize(static_cast<std::size_t>(event.at));
}

/// Each sector of a write by itself.
void apply_some_sectors(FileState& file, const DiskEvent& event, std::mt19937_64& dice) {
  file.there = true;
  const auto from = static_cast<std::size_t>(event.at);
  for (std::size_t done = 0; done < event.bytes.size();) {
    const std::size_t bytes =
        std::min(event.bytes.size() - done, kSector - (from + done) % kSector);
    if (dice() % 2 == 0)
      put_bytes(file.durable, from + done, std::string_view(event.bytes).substr(done, bytes));
    done += bytes;
  }
}

}  // namespace

RecordedDisk::RecordedDisk() {
  the_disk = this;
  sqlite3_vfs_register(&recording_vfs(), 1);
}

RecordedDisk::~RecordedDisk() { stop(); }

void RecordedDisk::stop() {
  the_disk = nullptr;
  sqlite3_vfs_register(real_vfs(), 1);
}

void RecordedDisk::mark(std::int64_t number) {
  events_.push_back({DiskEvent::Kind::mark, {}, number, {}});
}

DiskImage RecordedDisk::after_power_cut(std::size_t count, std::mt19937_64& dice) const {
  std::map<std::string, FileState> files;
  for (std::size_t i = 0; i < count; ++i) {
    const DiskEvent& event = events_[i];
    if (event.kind == DiskEvent::Kind::mark) continue;
    FileState& file = files[event.file];
    const bool final = event.kind == DiskEvent::Kind::remove && event.at != 0;
    if (event.kind != DiskEvent::Kind::sync) file.pending.push_back(&event);
    if (event.kind != DiskEvent::Kind::sync && !final) continue;
    for (const DiskEvent* each : file.pending) apply(file, *each);
    file.pending.clear();
  }
  DiskImage image;
  // All of it, nothing of it, or any part: the disk may have been quick or slow.
  const auto way = dice() % 4;
  for (auto& [name, file] : files) {
    for (const DiskEvent* each : file.pending) {
      if (way == 0) break;
      if (way == 1)
        apply(file, *each);
      else if (each->kind == DiskEvent::Kind::write)
        apply_some_sectors(file, *each, dice);
      else if (dice() % 2 == 0)
        apply(file, *each);
    }
    if (file.there) image[name] = file.durable;
  }
  return image;
}

}  // namespace sluice::ledger
