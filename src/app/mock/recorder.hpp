// The outside recorder: what was really asked of the provider and really served, kept apart from
// everything the gateway believes. Counters are exact since the last reset; the newest records are
// kept in a ring.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "script.hpp"

namespace sluice::mock {

/// How an exchange ended.
enum class End : std::uint8_t {
  complete,     ///< the whole answer was given to the kernel
  aborted,      ///< the client went away first
  request_cut,  ///< the client went away inside its request
  cut,          ///< we broke the answer off, as asked
  error,        ///< we answered an error, as asked
  refused,      ///< a request we cannot serve
};

[[nodiscard]] std::string_view to_string(End end);

struct ModelTotals {
  std::uint64_t requests = 0;  ///< ended, however
  std::uint64_t complete = 0;
  std::uint64_t aborted = 0;
  std::uint64_t failed = 0;  ///< cut, error, refused, request_cut
  std::uint64_t chunks = 0;
  Usage claimed;  ///< sums over answers whose usage was sent whole
};

struct Record {
  std::uint64_t number = 0;  ///< of the exchange, from 1
  std::uint64_t connection = 0;
  std::uint64_t on_connection = 0;  ///< which request of its connection, from 1
  Call call = Call::unknown;
  bool stream = false;
  bool include_usage = false;
  bool usage_sent = false;
  int status = 0;
  End end = End::complete;
  std::string method;
  std::string target;
  std::string model;
  std::string credential;  ///< as seen: "bearer KEY", "x-api-key KEY", "query KEY", …
  std::string head;        ///< only with Keep::heads
  std::string body;        ///< only with Keep::body_bytes, cut to it
  std::uint64_t body_bytes = 0;
  std::uint32_t body_crc32c = 0;
  std::int64_t chunks_sent = 0;
  Usage usage;                   ///< claimed, whether or not it was sent
  std::int64_t received_ns = 0;  ///< CLOCK_MONOTONIC: last byte of the request
  std::int64_t answered_ns = 0;  ///< first byte of the answer, 0 = none
  std::int64_t ended_ns = 0;
  std::int64_t gone_ns = 0;  ///< when the client's going was noticed, 0 = it stayed
};

struct Keep {
  std::size_t records = 20'000;
  std::size_t body_bytes = 0;
  bool heads = false;
  std::string log_file;  ///< empty = none
};

class Recorder {
 public:
  explicit Recorder(Keep keep);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  [[nodiscard]] const Keep& keep() const { return keep_; }
  [[nodiscard]] std::uint64_t next_number() { return ++last_number_; }
  void opened() { ++open_; }
  /// Books the end of an exchange that was opened() before.
  void ended(Record&& record);
  void reset();
  void flush_log();

  /// {"open":N,"held":N,"totals":{…},"models":{…},"records":[…]}; records with a number over
  /// `since`, the newest `limit`.
  [[nodiscard]] std::string to_json(std::uint64_t since, std::size_t limit, std::size_t held) const;

 private:
  void log(const Record& record);

  Keep keep_;
  std::uint64_t last_number_ = 0;
  std::uint64_t open_ = 0;
  ModelTotals totals_;
  std::unordered_map<std::string, ModelTotals> models_;
  std::deque<Record> records_;
  std::FILE* log_ = nullptr;
};

}  // namespace sluice::mock
