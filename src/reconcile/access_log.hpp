// The access records: one JSON line a request, in files that are rotated by day (UTC) and size.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "sluice/ledger/usage.hpp"
#include "sluice/state/boards.hpp"

namespace sluice::reconcile {

/// Names for the numbers in a record. An unknown number gives "".
struct RecordNames {
  std::function<std::string(ledger::Id)> model;
  std::function<std::string(ledger::Id)> channel;
  std::function<std::string(ledger::Id)> key;
};

[[nodiscard]] std::string usage_line(const ledger::UsageRow& row, std::uint32_t node, std::uint64_t epoch,
                                     const RecordNames& names);
[[nodiscard]] std::string refused_line(const state::RefusedRecord& record, const RecordNames& names);

/// Writes lines to <directory>/access-YYYY-MM-DD[.n].jsonl. Trouble with the disk costs lines, never the drain: it
/// is logged once and counted.
class AccessLog {
 public:
  /// `directory` is made when it is missing; empty = nothing is written.
  AccessLog(std::string directory, std::uint64_t bytes_most = 256 * kMiB);
  void write(const std::string& line, TimeNs realtime_ns);
  void flush();
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  bool open_for(std::int64_t day);
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::string directory_;
  const std::uint64_t bytes_most_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::int64_t day_ = -1;
  std::uint32_t part_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t lost_ = 0;
  bool complained_ = false;
};

}  // namespace sluice::reconcile
