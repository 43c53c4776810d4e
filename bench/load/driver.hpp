// The load driver: one thread, one epoll, N client connections against one address.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "answer_reader.hpp"
#include "histogram.hpp"
#include "sluice/tls/context.hpp"
#include "tls_channel.hpp"

namespace sluice::load {

struct Options {
  std::string target = "127.0.0.1:8080";
  std::string path = "/v1/chat/completions";
  std::string model = "m";
  std::vector<std::string> keys = {"sk-load"};
  bool key_per_connection = false;  ///< else the next key for each request
  bool stream = false;
  int connections = 64;                     ///< or streams
  std::int64_t warmup_ns = 0;               ///< from the start; not measured
  std::int64_t seconds_ns = 3'000'000'000;  ///< after the warm-up
  std::int64_t ramp_ns = 0;                 ///< connections are opened evenly over this time
  std::uint64_t requests = 0;               ///< stop after so many answers; 0 = by time only
  std::uint64_t chunks = 0;                 ///< chunks a stream must bring; 0 = not checked
  std::uint64_t abort_after = 0;            ///< close a stream after so many chunks; 0 = never
  std::int64_t reconnect_ns = 50'000'000;
  std::int64_t backoff_ns =
      0;                ///< a client that was refused rests so long, connected; 0 = it leaves
  std::string ca_file;  ///< TLS: who vouches for the target; empty = plain
  std::string tls_name = "localhost";  ///< TLS: the name in its certificate
  bool fresh = false;                  ///< a new connection for each request
  bool spin = false;                   ///< never sleeps: who answers need not wake it
  bool kernel_time = false;  ///< an answer's time is when the kernel had it, not when it was read
  double rate = 0;                     ///< requests a second of all connections; 0 = closed loop
  std::size_t body_bytes = 200;        ///< about: the prompt is filled up to it
};

struct Results {
  Histogram delay;    ///< chunk written by the stand-in → read here
  Histogram first;    ///< request sent → first stamp (streams), first byte otherwise
  Histogram latency;  ///< request sent → end of the answer
  Histogram refused;  ///< the same of answers other than 200
  std::uint64_t chunks = 0;
  std::uint64_t good = 0;
  std::uint64_t aborted = 0;   ///< by us, as asked
  std::uint64_t lost = 0;      ///< numbers missing in the sequence, or at its end
  std::uint64_t repeated = 0;  ///< numbers that came again or out of order
  std::uint64_t merged = 0;    ///< chunks that came in one read with another
  std::uint64_t connect_errors = 0;
  std::uint64_t closed_early = 0;  ///< the connection ended inside an answer or before it
  std::uint64_t malformed = 0;
  std::map<int, std::uint64_t> statuses;  ///< other than 200
  double seconds = 0;
};

class Driver {
 public:
  explicit Driver(Options options);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Runs to the end of the time or the count. Empty, or one line that says what cannot be used.
  [[nodiscard]] std::string run();
  [[nodiscard]] const Results& results() const { return results_; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Client {
    int fd = -1;
    std::size_t index = 0;
    std::string out;
    std::size_t out_at = 0;
    AnswerReader reader;
    std::int64_t sent_ns = 0;  ///< or when it was due, if the answer before it was late
    std::int64_t due_ns = 0;   ///< with a rate: when its next request is due
    std::uint64_t next_number = 0;
    bool first_seen = false;
    bool connecting = false;
    bool writing = false;  ///< EPOLLOUT is armed
    std::optional<mock::TlsChannel> tls;
  };

  void connect(Client& client);
  void send_request(Client& client);
  void send_next(Client& client);
  void flush(Client& client);
  void read(Client& client);
  [[nodiscard]] std::int64_t receive(int fd, std::int64_t& at_ns);
  void received(Client& client, std::string_view bytes);
  [[nodiscard]] bool start_tls(Client& client);
  void answered(Client& client);
  void drop(Client& client) { drop(client, options_.reconnect_ns); }
  void drop(Client& client, std::int64_t again_in_ns);
  void start_due();
  void send_due();
  void rest(Client& client, std::int64_t until_ns);
  [[nodiscard]] std::int64_t wait_ns() const;
  [[nodiscard]] std::int64_t period_ns() const;
  [[nodiscard]] bool measuring() const { return now_ns_ >= measure_from_ns_; }
  [[nodiscard]] std::string request_text(std::size_t key) const;

  Options options_;
  Results results_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::string> requests_;                   ///< one a key
  std::set<std::pair<std::int64_t, Client*>> waiting_;  ///< to be connected, by when
  /// Answered; their next request is not due yet: by when it is.
  std::set<std::pair<std::int64_t, Client*>> resting_;
  std::size_t next_key_ = 0;
  int epoll_fd_ = -1;
  std::int64_t now_ns_ = 0;
  std::int64_t measure_from_ns_ = 0;
  std::string buffer_;
  std::optional<tls::ClientContext> tls_;
};

}  // namespace sluice::load
