// Files of access records: records-YYYYMMDD.jsonl, then -1, -2 … when one is full. A thread of its
// own writes, so that a slow disk never delays draining; what does not fit into its queue is
// counted and said.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"

namespace sluice::reconcile {

class RecordFiles {
 public:
  /// Makes the directory. An empty `directory` writes nothing. Errors: io, with a line in
  /// `message`.
  [[nodiscard]] static Result<std::unique_ptr<RecordFiles>> open(const std::string& directory,
                                                                 std::uint64_t file_bytes,
                                                                 const Clock& clock,
                                                                 std::string& message);
  /// Writes what is queued.
  ~RecordFiles();
  RecordFiles(const RecordFiles&) = delete;
  RecordFiles& operator=(const RecordFiles&) = delete;

  /// Lines to append to, each ended by a newline. Valid until flush().
  [[nodiscard]] std::string& buffer() { return buffer_; }
  [[nodiscard]] bool enabled() const { return shared_ != nullptr; }
  /// Hands the buffer to the writer. Does not wait.
  void flush();
  /// Flushes, and waits until all of it was handed to the kernel.
  void flush_and_wait();
  [[nodiscard]] std::uint64_t dropped_bytes() const;

  static constexpr std::size_t kQueueBytes = 64 * 1024 * 1024;

 private:
  struct Shared;
  RecordFiles() = default;
  std::string buffer_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::reconcile
