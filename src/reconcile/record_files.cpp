#include "record_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "sluice/base/log.hpp"
#include "zone_file.hpp"

namespace sluice::reconcile {
namespace {

// Of one call: a kernel that is not preemptible lets nobody else have the core meanwhile.
constexpr std::size_t kWriteBytes = 16 * 1024;

std::string day_text(std::int64_t day) {
  const CivilDate date = date_of(day);
  char text[16];
  const int bytes = std::snprintf(text, sizeof text, "%04d%02d%02d", static_cast<int>(date.year),
                                  date.month, date.day);
  return {text, static_cast<std::size_t>(bytes)};
}

}  // namespace

struct RecordFiles::Shared {
  std::string directory;
  std::uint64_t file_bytes = 0;
  const Clock* clock = nullptr;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  std::string queue;
  std::uint64_t dropped_bytes = 0;
  bool writing = false;
  bool stopping = false;

  // The writer's own.
  int fd = -1;
  std::int64_t day = -1;
  int part = 0;
  std::uint64_t written_bytes = 0;
  bool complained = false;
  std::thread thread;

  ~Shared() {
    if (fd >= 0) close(fd);
  }
  [[nodiscard]] std::string path() const {
    return directory + "/records-" + day_text(day) + (part == 0 ? "" : "-" + std::to_string(part)) +
           ".jsonl";
  }
  void complain(const std::string& what) {
    if (!std::exchange(complained, true))
      log_line(LogLevel::error, "reconcile", "access records: " + what);
  }
  bool open_file() {
    const std::int64_t today = clock->realtime_ns() / kSecond / 86'400;
    if (fd >= 0 && today == day && written_bytes < file_bytes) return true;
    if (fd >= 0) close(std::exchange(fd, -1));
    if (today != day) part = 0;
    day = today;
    for (;; ++part) {
      fd = ::open(path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
      struct stat info{};
      if (fd < 0 || fstat(fd, &info) != 0) {
        complain("cannot open " + path() + ": " + std::strerror(errno));
        return false;
      }
      written_bytes = static_cast<std::uint64_t>(info.st_size);
      if (written_bytes < file_bytes) return true;
      close(std::exchange(fd, -1));
    }
  }
  void write_out(std::string_view text) {
    if (!open_file()) return;
    while (!text.empty()) {
      const ssize_t bytes = write(fd, text.data(), std::min(text.size(), kWriteBytes));
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0) return complain("cannot write " + path() + ": " + std::strerror(errno));
      complained = false;
      written_bytes += static_cast<std::uint64_t>(bytes);
      text.remove_prefix(static_cast<std::size_t>(bytes));
    }
  }
  void work() {
    std::string taken;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      taken.clear();
      taken.swap(queue);
      writing = true;
      lock.unlock();
      write_out(taken);
      lock.lock();
      writing = false;
      if (queue.empty()) idle.notify_all();
    }
  }
};

Result<std::unique_ptr<RecordFiles>> RecordFiles::open(const std::string& directory,
                                                       std::uint64_t file_bytes, const Clock& clock,
                                                       std::string& message) {
  std::unique_ptr<RecordFiles> files(new RecordFiles);
  if (directory.empty()) return files;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error || access(directory.c_str(), W_OK | X_OK) != 0) {
    message = "records directory " + directory +
              " cannot be written: " + (error ? error.message() : std::strerror(errno));
    return fail(Errc::io);
  }
  files->shared_ = std::make_unique<Shared>();
  files->shared_->directory = directory;
  files->shared_->file_bytes = file_bytes;
  files->shared_->clock = &clock;
  files->shared_->thread = std::thread([shared = files->shared_.get()] { shared->work(); });
  return files;
}

RecordFiles::~RecordFiles() {
  if (!shared_) return;
  flush();
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->wake.notify_all();
  }
  shared_->thread.join();
}

void RecordFiles::flush() {
  if (!shared_ || buffer_.empty()) return;
  const std::scoped_lock lock(shared_->mutex);
  if (shared_->queue.size() + buffer_.size() > kQueueBytes) {
    // Whole buffers hold whole lines. The rows themselves are in the ledger.
    if (shared_->dropped_bytes == 0)
      log_line(LogLevel::error, "reconcile", "access records: the disk is too slow");
    shared_->dropped_bytes += buffer_.size();
  } else if (shared_->queue.empty()) {
    shared_->queue.swap(buffer_);
  } else {
    shared_->queue += buffer_;
  }
  buffer_.clear();
  shared_->wake.notify_one();
}

void RecordFiles::flush_and_wait() {
  flush();
  if (!shared_) return;
  std::unique_lock lock(shared_->mutex);
  shared_->idle.wait(lock, [this] { return shared_->queue.empty() && !shared_->writing; });
}

std::uint64_t RecordFiles::dropped_bytes() const {
  if (!shared_) return 0;
  const std::scoped_lock lock(shared_->mutex);
  return shared_->dropped_bytes;
}

}  // namespace sluice::reconcile
