// The read-only Unix socket: answers questions about the live state. One question a connection, a handful of
// connections at a time, none of which is ever waited for.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::reconcile {

class QueryServer {
 public:
  /// The answer to one question (a line without its end): lines, the last one empty.
  using Answer = std::function<std::string(const std::string& question)>;
  explicit QueryServer(Answer answer) : answer_(std::move(answer)) {}
  ~QueryServer();
  QueryServer(const QueryServer&) = delete;
  QueryServer& operator=(const QueryServer&) = delete;

  /// Listens at `path`; what is left there from a dead process is replaced. Errors: io, too_large (path).
  [[nodiscard]] Result<> listen(const std::string& path);
  /// Waits for something to do or `timeout_ns`, and does it. `wake_fd` is watched too (its bytes are the caller's).
  void wait(TimeNs timeout_ns, int wake_fd);

 private:
  struct Client {
    int fd = -1;
    std::string in;
    std::string out;
    TimeNs since_ns = 0;
  };
  void accept_clients();
  /// False when the connection is finished.
  bool serve(Client& client);
  void close_stale();

  Answer answer_;
  int fd_ = -1;
  std::string path_;
  std::vector<Client> clients_;
};

}  // namespace sluice::reconcile
