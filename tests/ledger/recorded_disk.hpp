// A disk that remembers: a VFS under SQLite that writes down every write, truncation, sync and
// removal, and can say what a power cut would have left at any moment.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace sluice::ledger {

/// One thing that was done to a file, in the order of all files.
struct DiskEvent {
  enum class Kind : std::uint8_t { write, truncate, sync, remove, mark };
  Kind kind = Kind::mark;
  std::string file;     ///< without its directory
  std::int64_t at = 0;  ///< of a write: where; of a truncation: the new size; of a mark: its
                        ///< number; of a removal: 1 if the directory was synced
  std::string bytes;
};

using DiskImage = std::map<std::string, std::string>;  ///< by file name

/// Until stop() or its end it is SQLite's default disk. One at a time.
class RecordedDisk {
 public:
  RecordedDisk();
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  /// Notes that something began or was confirmed at this moment.
  void mark(std::int64_t number);
  void stop();
  [[nodiscard]] const std::vector<DiskEvent>& events() const { return events_; }

  /// What may be left when the power goes after the first `count` events. What was synced is there.
  /// Of what was not, each sector of 512 bytes is there or not, as the dice say; a file that was
  /// removed may be there again, unless its directory was synced.
  [[nodiscard]] DiskImage after_power_cut(std::size_t count, std::mt19937_64& dice) const;

  void note(DiskEvent event) { events_.push_back(std::move(event)); }

 private:
  std::vector<DiskEvent> events_;
};

}  // namespace sluice::ledger
