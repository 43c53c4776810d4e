// A small HTTP server for the operator's pages, driven by the supervisor's poll loop.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "metrics_page.hpp"
#include "sluice/base/error.hpp"

namespace sluice::edge {

class PageServer {
 public:
  using Render = std::function<Page(std::string_view path)>;

  /// Takes a listening descriptor.
  PageServer(int listening_fd, Render render);
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  /// Appends what to poll for.
  void add_polls(std::vector<pollfd>& polls) const;
  /// Serves what is ready. Connections that say nothing are closed after 5 s.
  void run(const std::vector<pollfd>& polls, TimeNs monotonic_ns);

 private:
  struct Visitor {
    int fd;
    TimeNs since_ns;
    std::string request;
  };
  void accept_some(TimeNs monotonic_ns);
  [[nodiscard]] bool serve(Visitor& visitor);

  int fd_;
  Render render_;
  std::vector<Visitor> visitors_;
};

}  // namespace sluice::edge
